"""The checks of heads: a sound head passes, and each check catches the fault that it is for."""

import keras
import numpy as np
import pytest
from keras import ops

from mtlkit.testing import LayerTestCase

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(6, 5)), np.array([0, 1, 2, 0, 1, 2])
register = keras.saving.register_keras_serializable(package="tests")


@register
class TinyHead(keras.layers.Layer):
    """The sound head that the faulty ones below derive from."""

    final_dtype = "float32"

    def __init__(self, num_classes=3, rate=0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.rate = num_classes, rate
        self.dropout = keras.layers.Dropout(rate, dtype=self.dtype_policy)
        self.dense = keras.layers.Dense(
            num_classes, dtype=self.final_dtype or self.dtype_policy, name="dense"
        )

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, inputs, training=None):
        return self.dense(self.dropout(inputs, training=training))

    def compute_output_spec(self, inputs, training=None):
        return self.dense.compute_output_spec(inputs)

    def compute_output_shape(self, input_shape):
        return self.dense.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes, "rate": self.rate}

    def default_loss(self):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def default_metrics(self):
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    @property
    def primary_metric(self):
        return "accuracy", "max"

    def decode(self, outputs):
        probability = ops.convert_to_numpy(ops.softmax(outputs))
        return {"label": probability.argmax(axis=-1), "probability": probability}

    def validate_labels(self, y, task=None):
        wrong = y[(y < 0) | (y >= self.num_classes)]
        if len(wrong):
            raise ValueError(
                f"Task {task or self.name!r}: expected labels in 0...{self.num_classes - 1}. "
                f"Received: {wrong[0]}"
            )

    @classmethod
    def search_space(cls):
        return {"rate": None}


def fails(message, cls, check, *arguments, **options):
    """Asserts that a check fails with that message."""
    with pytest.raises(AssertionError, match=f"{cls.__name__} fails the check of {message}"):
        getattr(LayerTestCase(), f"check_{check}")(cls, *arguments, **options)


def derive(**members):
    """A head that differs from the sound one by these members."""
    return register(type("Faulty", (TinyHead,), members))


class TestTinyHead(LayerTestCase):
    @pytest.mark.parametrize("rate", [0.0, 0.5])
    def test_head(self, rate):
        self.run_head_test(
            TinyHead,
            {"rate": rate},
            X,
            Y,
            bad_labels=[np.array([0, 1, 2, 0, 1, 3]), Y - 1],
            expected_output_shape=(6, 3),
        )

    def test_run_head_test_runs_the_checks_of_layers(self):
        def get_config(self):
            return {k: v for k, v in TinyHead.get_config(self).items() if k != "rate"}

        head = derive(get_config=get_config)
        with pytest.raises(AssertionError, match=r"its configuration: .*\['rate'\]"):
            self.run_head_test(head, {}, X, Y)

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            ({"final_dtype": None, "compute_output_spec": keras.layers.Layer.compute_output_spec},
             "its float32 outputs: under mixed_bfloat16 an output is .*'bfloat16'"),
            ({"default_loss": lambda self: "mse"}, "its loss: default_loss"),
            ({"default_metrics": lambda self: []}, "its metrics: the primary metric 'accuracy'"),
            ({"decode": lambda self, outputs: {}}, 'its decoding: expected "label", "labels" or'),
            ({"search_space": classmethod(lambda cls: {"depth": 1})}, r"its search space: \['dep"),
            ({"validate_labels": lambda self, y, task=None: None}, "its validation of labels: it"),
            ({"default_loss": lambda self: Flat()}, "its learning: in 3 steps of Adam the loss"),
        ],
    )  # fmt: skip
    def test_run_head_test_runs_each_check(self, fault, message):
        with pytest.raises(AssertionError, match=message):
            self.run_head_test(derive(**fault), {}, X, Y, bad_labels=[Y + 9], learning_steps=3)


# === Loss and learning ===


@register
class Flat(keras.losses.Loss):
    """A loss from which nothing can be learnt."""

    def call(self, y_true, y_pred):
        return 1 + 0 * ops.mean(y_pred, axis=-1)


@register
class NotFinite(Flat):
    def call(self, y_true, y_pred):
        return super().call(y_true, y_pred) * np.nan


class UnregisteredLoss(Flat):
    pass


@register
class ForgetfulLoss(Flat):
    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale

    def call(self, y_true, y_pred):
        return self.scale * super().call(y_true, y_pred)

    def get_config(self):
        return {}


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("mse", ": default_loss.. is a .*str.*, not a Loss"),
        (keras.losses.SparseCategoricalCrossentropy(reduction=None), r": .* the shape \(6,\)"),
        (NotFinite(), ": the loss is nan"),
        (UnregisteredLoss(), ". It raised TypeError: Could not locate"),
        (ForgetfulLoss(2.0), ": the loss is another after serialization: the largest diff"),
    ],
)
def test_loss(loss, message):
    head = derive(default_loss=lambda self: loss)
    fails(f"its loss{message}", head, "loss", {}, X, Y)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # that is the fault
def test_learning():
    stopped = derive(call=lambda self, x, training=None: ops.stop_gradient(self.dense(x)) + self.b,
                     build=lambda self, shape: (TinyHead.build(self, shape), setattr(self, "b",
                     self.add_weight(name="b", shape=()))))  # fmt: skip
    fails("its learning: in 30 steps of Adam the loss went", stopped, "learning", {}, X, Y)
    fails("its learning: ", derive(default_loss=lambda self: NotFinite()), "learning", {}, X, Y)
    # With the dropout of half of the inputs each step's loss is a draw; the check must not be.
    for seed in range(3):
        case = LayerTestCase()
        case.seed = seed
        case.check_learning(TinyHead, {"rate": 0.5}, X, Y)
        with pytest.raises(AssertionError, match="its learning"):
            case.check_learning(
                derive(default_loss=lambda self: Flat()), {"rate": 0.5}, X, Y, steps=2
            )


# === Metrics ===


@register
class NotFiniteMetric(keras.metrics.Mean):
    def result(self):
        return super().result() * np.nan

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_pred)


@register
class ForgetfulMetric(NotFiniteMetric):
    def __init__(self, scale=1.0, name="accuracy"):
        super().__init__(name=name)
        self.scale = scale

    def result(self):
        return self.total * 0 + self.scale

    def get_config(self):
        return {"name": self.name}


shared = keras.metrics.SparseCategoricalAccuracy(name="accuracy")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"default_metrics": lambda self: ["accuracy"]}, "'accuracy' is not a keras Metric"),
        ({"default_metrics": lambda self: [shared]}, "gives the same 'accuracy' twice"),
        (
            {"default_metrics": lambda self: TinyHead.default_metrics(self) * 2},
            r"metrics share a name: \['accuracy', 'accuracy'\]",
        ),
        ({"default_metrics": lambda self: [NotFiniteMetric()]}, "'mean' is nan"),
        (
            {"default_metrics": lambda self: [ForgetfulMetric(2.0)]},
            "'accuracy' is another after serialization",
        ),
        ({"primary_metric": ("mae", "min")}, r"'mae' is none of the metrics \['accuracy'\]"),
        ({"primary_metric": ("accuracy", "up")}, r"primary_metric is \('accuracy', 'up'\)"),
        ({"primary_metric": "accuracy"}, "primary_metric is 'accuracy'"),
    ],
)
def test_metrics(members, message):
    fails(f"its metrics: .*{message}", derive(**members), "metrics", {}, X, Y)


# === Decoding ===


def decoded(**changes):
    """A head whose decoding has these entries."""

    def decode(self, outputs):
        found = TinyHead.decode(self, outputs) | changes
        return {name: entry for name, entry in found.items() if entry is not None}

    return derive(decode=decode)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (derive(decode=lambda self, outputs: outputs), "it is a .*, expected a dict"),
        (decoded(label=None), '"labels" or "value" among its keys .*probability'),
        (decoded(degrees=[0] * 6), "'degrees' is a .*list.*, expected an array"),
        (decoded(degrees=ops.zeros(6)), "'degrees' is a .*, expected an array"),
        (decoded(value=np.zeros(3)), r"'value' has the shape \(3,\), expected 6 rows"),
        (decoded(value=np.full(6, np.inf)), "'value' is not finite"),
        (decoded(label=np.zeros(6)), "'label' is float64, expected integers or names"),
        (decoded(probability=np.full((6, 3), 0.5)), "'probability' sums to 1.5 up to 1.5"),
        (decoded(probability=np.full((6, 2), [2.0, -1.0])), r"'probability' leaves \[0, 1\]"),
        (decoded(probability=np.ones((6, 1), int)), "'probability' is int"),
        (
            derive(
                decode=lambda self, outputs: {
                    "value": np.full(6, float(isinstance(outputs, np.ndarray)))
                }
            ),
            "'value' is another for tensors than for arrays",
        ),
        (
            derive(
                decode=lambda self, outputs: {
                    "value" if isinstance(outputs, np.ndarray) else "label": np.zeros(6)
                }
            ),
            "tensors are decoded to other keys",
        ),
    ],
)
def test_decode(head, message):
    fails(f"its decoding: .*{message}", head, "decode", {}, X)


def test_decode_may_give_names_and_the_probability_of_the_label():
    head = decoded(label=np.array(list("abcdef")), probability=np.full(6, 0.7))
    LayerTestCase().check_decode(head, {}, X)


# === Search space and labels ===


def test_search_space():
    fails(
        "its search space: it is a ",
        derive(search_space=classmethod(lambda cls: [])),
        "search_space",
    )

    class Derived(TinyHead):
        """Its search space names an argument of the base class, which its **kwargs reach."""

        def __init__(self, other=1, **kwargs):
            super().__init__(**kwargs)

    LayerTestCase().check_search_space(Derived)


def raising(error):
    def validate_labels(self, y, task=None):
        if y.max() > 2:
            raise error

    return derive(validate_labels=validate_labels)


def test_validate_labels():
    labels = "its validation of labels"
    options = {"bad_labels": [Y + 1]}
    fails(
        rf"{labels}: it rejects valid labels \(task=None\)", TinyHead, "validate_labels", {}, Y + 1
    )
    fails(
        rf"{labels}: it accepts bad_labels\[1\] \(task=None\)",
        TinyHead,
        "validate_labels",
        {},
        Y,
        bad_labels=[Y + 1, Y],
    )
    fails(
        rf"{labels}: the error for bad_labels\[0\] does not name the task 'faulty.*: Bad",
        raising(ValueError("Bad")),
        "validate_labels",
        {},
        Y,
        **options,
    )
    fails(
        f"{labels}. It raised IndexError: Bad",
        raising(IndexError("Bad")),
        "validate_labels",
        {},
        Y,
        **options,
    )
    own_name_only = raising(ValueError("Bad labels of orientation"))
    fails(
        "its validation of labels: .*does not name the task 'some_task'",
        own_name_only,
        "validate_labels",
        {"name": "orientation"},
        Y,
        **options,
    )
