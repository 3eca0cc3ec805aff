"""Task: a name, a head, and how both meet the backbone."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from keras import ops

import mtlkit as mtl
from mtlkit.heads import ClassificationHead, OrientationHead, RegressionHead


@keras.saving.register_keras_serializable(package="tests")
def cubic(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred) ** 3, axis=-1)


@keras.saving.register_keras_serializable(package="tests")
class Tilted(keras.losses.Loss):
    """A loss with an argument of its own."""

    def __init__(self, tilt=1.0, name="tilted", **kwargs):
        super().__init__(name=name, **kwargs)
        self.tilt = tilt

    def call(self, y_true, y_pred):
        return ops.mean(self.tilt * (y_pred - y_true), axis=-1)

    def get_config(self):
        return {**super().get_config(), "tilt": self.tilt}


def restored(task):
    """The task after its way through JSON."""
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(task)))
    return keras.saving.deserialize_keras_object(config)


class TestArguments:
    def test_defaults(self):
        task = mtl.Task("size", RegressionHead())
        assert (task.weight, task.gradient, task.feature) == (1.0, "flow", None)
        assert (task.condition_on, task.loss, task.metrics) == (None, None, None)

    @pytest.mark.parametrize("name", ["a", "A1", "0", "my_task-2.b", "value", "vals", "a" * 80])
    def test_names(self, name):
        assert mtl.Task(name, RegressionHead()).name == name

    @pytest.mark.parametrize(
        "name",
        ["", " ", "my task", "a/b", "_a", "-a", ".a", "val_a", "a\n", "é", "a:b", 3, None, ("a",)],
    )
    def test_bad_names(self, name):
        with pytest.raises(ValueError, match="Expected a task name of letters") as error:
            mtl.Task(name, RegressionHead())
        assert str(error.value).endswith(f"Received: name={name!r}")

    @pytest.mark.parametrize("head", [None, "polar", RegressionHead, keras.layers.Dense(1)])
    def test_bad_heads(self, head):
        with pytest.raises(
            ValueError, match=r"Task 'a': expected head to be a mtlkit\.heads\.Head"
        ):
            mtl.Task("a", head)

    @pytest.mark.parametrize("weight", [0, 0.0, 1, 2.5, 1e-9, np.float64(0.5)])
    def test_weights(self, weight):
        assert mtl.Task("a", RegressionHead(), weight=weight).weight == weight

    @pytest.mark.parametrize("weight", [-1, -1e-9, np.nan, np.inf, "1", None, True, [1.0]])
    def test_bad_weights(self, weight):
        with pytest.raises(ValueError, match=r"Task 'a': expected a weight .*Received: weight="):
            mtl.Task("a", RegressionHead(), weight=weight)

    @pytest.mark.parametrize("gradient", ["flow", "stop", 0, 0.1, -1.0, 3])
    def test_gradients(self, gradient):
        assert mtl.Task("a", RegressionHead(), gradient=gradient).gradient == gradient

    @pytest.mark.parametrize("gradient", ["reverse", "Stop", "", None, np.nan, np.inf, True])
    def test_bad_gradients(self, gradient):
        message = r"Task 'a': expected gradient to be \"flow\", \"stop\" or a number"
        with pytest.raises(ValueError, match=message) as error:
            mtl.Task("a", RegressionHead(), gradient=gradient)
        assert str(error.value).endswith(f"Received: gradient={gradient!r}")

    def test_options_by_name_only(self):
        with pytest.raises(TypeError):
            mtl.Task("a", RegressionHead(), 2.0)


class TestImmutability:
    def test_frozen(self):
        task = mtl.Task("a", RegressionHead())
        with pytest.raises(dataclasses.FrozenInstanceError):
            task.weight = 2.0

    def test_changed_copies_are_checked(self):
        task = mtl.Task("a", RegressionHead(), weight=2.0, gradient="stop")
        changed = dataclasses.replace(task, weight=3.0)
        assert (changed.weight, changed.gradient, changed.head) == (3.0, "stop", task.head)
        with pytest.raises(ValueError, match="Received: weight=-3"):
            dataclasses.replace(task, weight=-3)


class TestConfig:
    @pytest.mark.parametrize(
        ("head", "options"),
        [
            (ClassificationHead(4, pooling="max", hidden_units=7), {}),
            (OrientationHead(8, filters=(3, 4)), {"weight": 2.5, "gradient": -0.5}),
            (RegressionHead(2, dropout=0.1), {"gradient": "stop", "feature": "stage1"}),
        ],
        ids=["classification", "orientation", "regression"],
    )
    def test_round_trip(self, head, options):
        task = mtl.Task("mine", head, **options)
        copy = restored(task)
        assert type(copy) is mtl.Task and type(copy.head) is type(head)
        assert copy.head is not head and copy.head.get_config() == head.get_config()
        for field in dataclasses.fields(task):
            if field.name != "head":
                assert getattr(copy, field.name) == getattr(task, field.name), field.name
        serialize = keras.saving.serialize_keras_object
        assert serialize(restored(copy)) == serialize(copy)

    def test_names_of_losses_and_metrics(self):
        task = mtl.Task("a", RegressionHead(), loss="mae", metrics=["mse", "mae"])
        assert (restored(task).loss, restored(task).metrics) == ("mae", ["mse", "mae"])

    def test_own_losses_and_metrics(self):
        metrics = [keras.metrics.RootMeanSquaredError(name="rms"), cubic, "mae"]
        copy = restored(mtl.Task("a", RegressionHead(), loss=Tilted(2.5), metrics=metrics))
        assert type(copy.loss) is Tilted and copy.loss.tilt == 2.5
        rms, function, name = copy.metrics
        assert (type(rms), rms.name) == (keras.metrics.RootMeanSquaredError, "rms")
        assert (function, name) == (cubic, "mae")

    def test_function_as_loss(self):
        assert restored(mtl.Task("a", RegressionHead(), loss=cubic)).loss is cubic

    def test_no_metrics_is_not_the_default_metrics(self):
        assert restored(mtl.Task("a", RegressionHead(), metrics=[])).metrics == []


def test_own_loss_and_metrics_are_used():
    """In a model: against NumPy, with a missing label, before and after its way through JSON."""
    task = mtl.Task("size", RegressionHead(), loss=Tilted(3.0), metrics=[cubic, "mae"])
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    y = np.array([1.0, np.nan, -2.0, 0.5], "float32")
    for candidate in (task, restored(task)):
        model = mtl.MultiTaskModel(keras.layers.Identity(), [candidate], input_shape=(5,))
        model.compile("sgd")
        scores = model.evaluate(x, {"size": y}, verbose=0, return_dict=True)
        difference = (model.predict(x, verbose=0)["size"][:, 0] - y)[[0, 2, 3]]
        expected = {
            "loss": 3 * difference.mean(),
            "size_loss": 3 * difference.mean(),
            "size_cubic": np.mean(np.abs(difference) ** 3),
            "size_mae": np.mean(np.abs(difference)),
        }
        assert scores == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("number", [np.float32(0.5), np.int64(2), np.float64(0.25)])
def test_numpy_numbers_are_numbers(number):
    task = mtl.Task("turn", RegressionHead(), weight=number, gradient=number)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(task)))
    loaded = keras.saving.deserialize_keras_object(config)
    assert (loaded.weight, loaded.gradient) == (float(number), float(number))
