"""What is wired wrong, in small programs with one fault each."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import mtlkit as mtl
from mtlkit.diagnostics import Preflight, Problem, preflight

# Of some faults Keras warns, too.
pytestmark = pytest.mark.filterwarnings(r"ignore::UserWarning:keras\.")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4)).astype("float32")
CLASSES = (np.arange(90) % 3).astype("int64")
X[:, 0] += CLASSES
VALUES = X[:, 1] - X[:, 2]
SPARSE, ONE_HOT, BINARY = (
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "binary_crossentropy",
)


def network(units=3, activation="softmax", hidden="relu", **options):
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(12, activation=hidden, **options),
            layers.Dense(units, activation=activation),
        ]
    )


def two_outputs(**units):
    """A model of classes, and of numbers without an activation, on the same hidden layer."""
    inputs = keras.Input((4,))
    hidden = layers.Dense(8, activation="relu")(inputs)
    outputs = {"kind": layers.Dense(3, activation="softmax", name="kind")(hidden)}
    outputs |= {name: layers.Dense(count, name=name)(hidden) for name, count in units.items()}
    return keras.Model(inputs, outputs)


def said(model, loss, x, y, optimizer="adam", **options):
    """Names of the problems, with their severities."""
    model.compile(optimizer, loss, **options)
    found = preflight(model, x, y)
    assert not found.not_checked or not found.ok, found.not_checked
    return {problem.name: problem for problem in found.problems}


@pytest.fixture(scope="module")
def healthy():
    model = network()
    model.compile(keras.optimizers.SGD(0.1), SPARSE, metrics=["accuracy"])
    return model


@pytest.mark.every_backend
class TestHealthy:
    def test_nothing_is_found(self, healthy):
        found = preflight(healthy, X, CLASSES)
        assert found.ok and not found.problems and not found.not_checked
        assert found.samples == 64
        assert str(found) == "Nothing is wired wrong."

    def test_everything_is_put_back(self, healthy):
        def state():
            return [np.array(v) for v in [*healthy.get_weights(), healthy.optimizer.iterations]]

        healthy.fit(X, CLASSES, verbose=0)
        before, of_numpy = state(), np.random.get_state()[1].copy()
        preflight(healthy, X, CLASSES)
        for one, other in zip(before, state(), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(of_numpy, np.random.get_state()[1])
        assert not healthy.run_eagerly

    def test_columns_of_pandas(self, healthy):
        pandas = pytest.importorskip("pandas")
        assert preflight(healthy, pandas.DataFrame(X), pandas.Series(CLASSES)).ok

    def test_weights_that_begin_at_zero(self):
        """The first step makes them move, and those behind them."""
        model = keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(12, activation="relu"),
                layers.Dense(3, activation="softmax", kernel_initializer="zeros"),
            ]
        )
        assert not said(model, SPARSE, X, CLASSES)

    def test_batch_norm_before_all_else(self):
        model = keras.Sequential(
            [
                keras.Input((4,)),
                layers.BatchNormalization(),
                layers.Dense(12, activation="relu"),
                layers.Dense(3, activation="softmax"),
            ]
        )
        assert "far_from_constant" not in said(model, SPARSE, 300 * X + 100, CLASSES)


@pytest.mark.parametrize("rate", [10.0, 1e-7])
def test_rates_of_a_schedule(rate):
    decay = keras.optimizers.schedules.CosineDecay(rate, 100)
    optimizer = keras.optimizers.SGD(decay)
    found = said(network(), SPARSE, X, CLASSES, optimizer)["learning_rate"]
    assert "model.compile(" in found.code and optimizer._learning_rate is decay


LABELS = {
    "one_hot_labels": (3, "softmax", SPARSE, np.eye(3)[CLASSES]),
    "labels_not_one_hot": (3, "softmax", ONE_HOT, CLASSES),
    "labels_out_of_range": (3, "softmax", SPARSE, CLASSES + 1),
    "wrong_labels": (3, "softmax", SPARSE, CLASSES + 0.5),
    "shape_mismatch": (2, None, "mse", VALUES),
    "nan_labels": (1, None, "mse", np.where(CLASSES == 0, np.nan, VALUES)),
}


class TestLabels:
    @pytest.mark.parametrize("name", LABELS)
    def test_errors(self, name):
        units, activation, loss, y = LABELS[name]
        found = said(network(units, activation), loss, X, y)
        assert found[name].severity == "error"

    def test_several_classes_a_sample(self):
        y = (X[:, :3] > 0).astype("float32")
        assert "binary_crossentropy" in said(network(), ONE_HOT, X, y)["labels_not_one_hot"].code

    def test_counted_from_one(self):
        assert said(network(), SPARSE, X, CLASSES + 1)["labels_out_of_range"].code == "y = y - 1"
        problem = said(network(4), SPARSE, X, CLASSES + 1)["labels_off_by_one"]
        assert problem.severity == "hint" and problem.code == "y = y - 1"

    def test_plus_and_minus_one(self):
        y = np.sign(VALUES)
        problem = said(network(1, "sigmoid"), BINARY, X, y)["labels_out_of_range"]
        assert "-1 and 1" in problem.text and "y == 1" in problem.code

    def test_classes_as_values(self):
        problem = said(network(1, None), "mse", X, CLASSES, metrics=["accuracy"])
        assert problem["values_loss_for_classes"].severity == "hint"
        assert problem["accuracy_of_values"].severity == "hint"

    def test_marks_of_missing_labels(self):
        y = np.where(np.arange(90) % 4 == 0, -1, CLASSES)
        problem = said(network(), SPARSE, X, y)["labels_out_of_range"]
        assert "from_keras" in problem.code and "23 labels" in problem.text

    def test_one_label(self):
        found = said(network(), SPARSE, X, np.zeros(90, int))
        assert found["one_label"].severity == "warning" and "far_from_constant" not in found
        assert "one_label" in said(network(1, None), "mse", X, np.full(90, 3.0))

    def test_many_classes_of_which_few_occur(self):
        assert set(said(network(500), SPARSE, X, CLASSES)) == {"unused_outputs"}

    def test_prices(self):
        found = said(network(1, None), "mse", X, 2e5 + 3e4 * VALUES)
        assert found["label_scale"].severity == "warning"
        assert found["label_scale"].value == pytest.approx(2e5, rel=0.1)


OUTPUTS = {
    "one_unit_softmax": (1, "softmax", BINARY, CLASSES % 2),
    "logits_as_probabilities": (3, None, SPARSE, CLASSES),
    "softmax_twice": (
        3,
        "softmax",
        lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        CLASSES,
    ),
    "not_normalised": (3, "sigmoid", ONE_HOT, np.eye(3)[CLASSES]),
    "binary_loss_for_exclusive_classes": (3, "softmax", BINARY, np.eye(3)[CLASSES]),
    "unreachable_labels": (1, "sigmoid", "mse", VALUES),
}


class TestLastActivation:
    @pytest.mark.parametrize("name", OUTPUTS)
    def test_named(self, name):
        units, activation, loss, y = OUTPUTS[name]
        found = said(network(units, activation), loss if isinstance(loss, str) else loss(), X, y)
        assert found[name].severity in ("error", "warning")
        assert found[name].layer and found[name].code

    def test_a_softmax_before_the_last(self):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax"), layers.Softmax()])
        assert said(model, SPARSE, X, CLASSES)["softmax_twice"].severity == "error"

    @pytest.mark.parametrize("after", [layers.Softmax, lambda: layers.Activation("softmax")])
    def test_classes_that_cannot_be_unlikely(self, after):
        model = network(3, "relu")
        model.add(after())
        problem = said(model, SPARSE, X, CLASSES)["clipped_logits"]
        assert problem.severity == "warning" and problem.layer == model.layers[-2].name
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        assert "clipped_logits" in said(network(3, "relu"), loss, X, CLASSES)

    def test_a_softmax_over_samples(self):
        model = network(3, None)
        model.add(layers.Softmax(axis=0))
        assert "no softmax over" in said(model, SPARSE, X, CLASSES)["not_normalised"].text

    def test_of_a_map_the_layer_is_named(self):
        images = RNG.random((90, 4, 4, 1)).astype("float32")
        convolution = layers.Conv2D(2, 1, activation="softmax", name="last")
        model = keras.Sequential([keras.Input((4, 4, 1)), convolution])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        y = (images[..., 0] > 0.5).astype("int32")
        assert said(model, loss, images, y)["softmax_twice"].code == "activation=None  # of 'last'"

    def test_the_share_of_labels_out_of_reach(self):
        problem = said(network(1, "sigmoid"), "mse", X, VALUES)["unreachable_labels"]
        assert problem.value == pytest.approx(np.mean((VALUES < 0) | (VALUES > 1)))


class TestInputs:
    def test_not_finite(self):
        x = X.copy()
        x[3, 1] = np.nan
        problem = said(network(), SPARSE, x, CLASSES)["inputs_not_finite"]
        assert problem.severity == "error" and "1 of 90" in problem.text

    def test_large_ones_that_do_harm(self):
        found = said(network(), SPARSE, 1000 * X, CLASSES, keras.optimizers.SGD(0.1))
        assert found["input_scale"].severity == "warning"

    def test_large_ones_that_do_none(self):
        problem = said(network(), SPARSE, X + 20, CLASSES, keras.optimizers.Adam(1e-4))
        if "input_scale" in problem and "far_from_constant" not in problem:
            assert problem["input_scale"].severity == "hint"

    def test_what_the_model_normalises_is_not_large(self):
        model = keras.Sequential([keras.Input((4,)), layers.Rescaling(1e-3), *network().layers])
        assert "input_scale" not in said(model, SPARSE, 1000 * X, CLASSES)

    def test_tokens(self):
        model = keras.Sequential([keras.Input((5,)), layers.Embedding(10, 3)])
        model.add(layers.GlobalAveragePooling1D())
        model.add(layers.Dense(3, activation="softmax"))
        tokens = RNG.integers(0, 11, size=(90, 5))
        tokens[0] = 10
        problem = said(model, SPARSE, tokens, CLASSES)["tokens_out_of_range"]
        assert problem.severity == "error" and "Embedding(11, 3)" in problem.code


class TestLayers:
    def test_frozen(self):
        model = network()
        model.trainable = False
        assert said(model, SPARSE, X, CLASSES)["frozen"].severity == "error"
        model = network()
        model.layers[0].trainable = False
        problem = said(model, SPARSE, X, CLASSES)["frozen"]
        assert problem.severity == "hint" and problem.value == pytest.approx(60 / 99)

    def test_a_frozen_part(self):
        inner = keras.Sequential([keras.Input((4,)), layers.Dense(8, name="deep")], name="part")
        inner.trainable = False
        model = keras.Sequential([keras.Input((4,)), inner, layers.Dense(3, activation="softmax")])
        code = said(model, SPARSE, X, CLASSES)["frozen"].code
        assert code.startswith("model.get_layer('part').trainable = True")

    def test_statistics_that_were_never_given(self):
        start = layers.Normalization(name="start")
        model = keras.Sequential([keras.Input((4,)), start, *network().layers])
        found = said(model, SPARSE, 3000 + 500 * X, CLASSES)
        assert found["not_adapted"].severity == "hint"
        assert found["far_from_constant"].code == "model.get_layer('start').adapt(x)"
        start.adapt(3000 + 500 * X)
        assert not said(model, SPARSE, 3000 + 500 * X, CLASSES)

    def test_units_that_start_alike(self):
        model = network(kernel_initializer="ones")
        assert said(model, SPARSE, X, CLASSES)["same_weights"].layer == model.layers[0].name

    def test_dead_units(self):
        model = network(bias_initializer=keras.initializers.Constant(-100.0))
        found = said(model, SPARSE, X, CLASSES)
        assert found["dead_units"].value == 1.0 and found["dead_units"].severity == "error"

    def test_saturated_units(self):
        start = keras.initializers.RandomNormal(stddev=100.0, seed=0)
        found = said(network(hidden="tanh", kernel_initializer=start), SPARSE, X, CLASSES)
        assert found["saturated_units"].value > 0.8

    def test_no_nonlinearity(self):
        problem = said(network(hidden=None), SPARSE, X, CLASSES)["no_nonlinearity"]
        assert problem.severity == "warning"

    def test_statistics_that_lag_behind(self):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(8)])
        model.add(layers.BatchNormalization(momentum=0.9999))
        model.add(layers.Dense(3, activation="softmax"))
        model.compile(keras.optimizers.SGD(0.5), SPARSE)
        model.fit(5 + 5 * X, CLASSES, epochs=30, verbose=0)
        found = {problem.name: problem for problem in preflight(model, 5 + 5 * X, CLASSES).problems}
        assert found["stale_batch_norm"].severity == "warning"
        assert "0.9999" in found["stale_batch_norm"].text


@pytest.mark.every_backend
class TestTraining:
    def test_a_rate_that_is_too_high(self):
        model = network(1, None)
        found = said(model, "mse", X, VALUES, keras.optimizers.SGD(50.0))
        assert found["learning_rate"].severity in ("warning", "error")
        assert 0 < float(found["learning_rate"].code.rpartition("=")[2]) <= 5

    def test_a_rate_that_is_too_low(self):
        found = said(network(), SPARSE, X, CLASSES, keras.optimizers.Adam(1e-8))
        assert "learning_rate = 0.0001" in found["learning_rate"].code

    def test_gradients_that_vanish(self):
        model = keras.Sequential([keras.Input((4,))])
        for _ in range(10):
            model.add(layers.Dense(8, activation="sigmoid"))
        model.add(layers.Dense(3, activation="softmax"))
        problem = said(model, SPARSE, X, CLASSES)["vanishing_gradient"]
        assert problem.layer == model.layers[0].name and problem.value < 1e-4

    def test_a_stop_on_the_way(self):
        inputs = keras.Input((4,))
        hidden = layers.Dense(8, activation="relu", name="below")(inputs)
        hidden = keras.ops.stop_gradient(hidden)
        model = keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))
        problem = said(model, SPARSE, X, CLASSES)["no_gradient"]
        assert problem.layer == "below" and "stop_gradient" in problem.text

    def test_a_rate_that_is_far_too_high(self):
        """The same network does no harm at the rate that is advised."""
        keras.utils.set_random_seed(0)
        found = said(network(1, None), "mse", X, VALUES, keras.optimizers.SGD(5_000.0))
        rate = float(found["learning_rate"].code.rpartition("=")[2])
        assert rate <= 500
        keras.utils.set_random_seed(0)
        again = said(network(1, None), "mse", X, VALUES, keras.optimizers.SGD(rate))
        assert "learning_rate" not in again

    def test_weights_that_begin_at_zero_do_not_explode(self):
        model = network(kernel_initializer="zeros")
        assert "exploding_gradient" not in said(model, SPARSE, X, CLASSES)

    def test_an_output_without_a_loss(self):
        found = said(two_outputs(embedding=2), {"kind": SPARSE}, X, {"kind": CLASSES})
        assert {n: one.severity for n, one in found.items()} == {"output_without_loss": "hint"}

    def test_a_penalty_above_all(self):
        model = network(kernel_regularizer=keras.regularizers.L2(100.0))
        assert said(model, SPARSE, X, CLASSES)["large_penalty"].severity == "warning"


@pytest.mark.every_backend
class TestSeveralTasks:
    def test_a_multi_task_model_that_is_not_adapted(self):
        images = RNG.uniform(0, 255, size=(90, 8, 8, 1)).astype("float32")
        y = {
            "kind": np.where(np.arange(90) % 4 == 0, -1, CLASSES),
            "size": np.where(np.arange(90) % 5 == 0, np.nan, 4000 + 1000 * VALUES),
        }
        model = mtl.MultiTaskModel(
            mtl.backbones.ConvBackbone((8, 8, 1), filters=(4,)),
            [
                mtl.Task("kind", mtl.heads.ClassificationHead(3)),
                mtl.Task("size", mtl.heads.RegressionHead()),
            ],
        )
        model.compile("adam")
        found = preflight(model, images, y)
        assert found.ok, str(found)
        assert not found.not_checked
        assert not model.backbone.adapted  # the first fit is to do it

    def test_labels_that_a_head_refuses(self):
        model = mtl.MultiTaskModel(
            mtl.backbones.DenseBackbone(4, (8,)),
            [mtl.Task("kind", mtl.heads.ClassificationHead(3))],
        )
        model.compile("adam")
        problem = preflight(model, X, {"kind": CLASSES + 1}).problems[0]
        assert problem.task == "kind" and problem.severity == "error"

    def test_losses_that_drown_others(self):
        model = two_outputs(price=1)
        y = {"kind": CLASSES, "price": 100 * (3 + VALUES)}
        model.compile("adam", {"kind": SPARSE, "price": "mse"})
        found = preflight(model, X, y).problems
        assert any(p.task == "price" and "drowns" in p.text and p.value > 1000 for p in found)

    def test_no_sample_has_both_labels(self):
        model = mtl.MultiTaskModel(
            mtl.backbones.DenseBackbone(4, (8,)),
            [
                mtl.Task("a", mtl.heads.ClassificationHead(3)),
                mtl.Task("b", mtl.heads.ClassificationHead(3)),
            ],
        )
        model.compile("adam")
        first = np.arange(90) < 45
        y = {"a": np.where(first, CLASSES, -1), "b": np.where(first, -1, CLASSES)}
        found = {problem.name: problem for problem in preflight(model, X, y).problems}
        assert found["no_shared_samples"].severity == "hint"


class TestModels:
    def test_a_subclassed_model(self):
        class Own(keras.Model):
            def __init__(self):
                super().__init__()
                self.dense = layers.Dense(3, activation="softmax")

            def call(self, x):
                return self.dense(x)

        model = Own()
        model.compile(keras.optimizers.SGD(1e4), SPARSE)
        found = preflight(model, X, CLASSES)
        assert "learning_rate" in [problem.name for problem in found.problems]

    def test_what_a_model_without_a_graph_predicts(self):
        class Own(keras.Model):
            def __init__(self, activation):
                super().__init__()
                self.dense = layers.Dense(3, activation=activation)

            def call(self, x):
                return self.dense(x)

        logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        assert said(Own("softmax"), logits, X, CLASSES)["softmax_twice"].severity == "error"
        assert "logits_as_probabilities" in said(Own(None), SPARSE, X, CLASSES)
        assert not said(Own(None), logits, X, CLASSES)
        assert not said(Own("softmax"), SPARSE, X, CLASSES)

    def test_errors(self, healthy):
        with pytest.raises(ValueError, match="Expected a compiled model"):
            preflight(network(), X, CLASSES)
        with pytest.raises(ValueError, match="Expected inputs and labels of the same samples"):
            preflight(healthy, X, CLASSES[:80])
        with pytest.raises(ValueError, match=r"Expected a keras\.Model"):
            preflight("model", X, CLASSES)

    def test_what_a_loss_raises_is_said(self):
        def broken(y_true, y_pred):
            raise RuntimeError("not yet written")

        model = network()
        model.compile("adam", broken)
        found = preflight(model, X, CLASSES)
        assert any("not yet written" in why for _, why in found.not_checked)


def test_printed_within_a_hundred_columns():
    problems = (Problem("input_scale", "warning", "word " * 60, "x = x / 255", "pose", "conv"),)
    text = str(Preflight(problems, (("first_steps", "It needs data without labels."),)))
    assert max(map(len, text.splitlines())) <= 100
    assert text.startswith("warning: input_scale [pose].") and "x = x / 255" in text


def test_plain_data():
    found = Preflight((Problem("frozen", "error", "No weight is trained."),), samples=3)
    assert found.to_dict()["problems"][0]["name"] == "frozen" and not found.ok
