"""MaskedLoss: the plain loss on the labelled samples, in value and gradient."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.special import log_softmax, softmax

from mtlkit.losses import MaskedLoss, fill_missing, labelled, masked_weight, unlabelled_loss
from mtlkit.losses.masked import FunctionLoss
from mtlkit.testing import input_gradients

SAMPLES = 6
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(SAMPLES, 4)).astype("float32")
CLASSES = RNG.integers(4, size=SAMPLES).astype("int32")
VALUES = RNG.normal(size=(SAMPLES, 3)).astype("float32")
OUTPUTS = RNG.normal(size=(SAMPLES, 3)).astype("float32")
WEIGHTS = RNG.uniform(0.1, 3, size=SAMPLES).astype("float32")

masks = st.lists(st.booleans(), min_size=SAMPLES, max_size=SAMPLES).map(np.array)


@keras.saving.register_keras_serializable(package="tests")
def quartic(y_true, y_pred):
    return ops.mean((y_true - y_pred) ** 4, axis=-1)


class OwnLoss(keras.losses.Loss):
    """The squared error by someone who does not think of shapes."""

    def call(self, y_true, y_pred):
        return ops.mean((y_true - y_pred) ** 2, axis=-1)


def cross_entropies():
    """By sample: the losses, and their gradients at the logits."""
    losses = -log_softmax(LOGITS.astype("float64"), axis=1)[np.arange(SAMPLES), CLASSES]
    return losses, softmax(LOGITS.astype("float64"), axis=1) - np.eye(4)[CLASSES]


def squares():
    difference = OUTPUTS.astype("float64") - VALUES
    return (difference**2).mean(axis=1), 2 * difference / 3


def absolutes():
    difference = OUTPUTS.astype("float64") - VALUES
    return np.abs(difference).mean(axis=1), np.sign(difference) / 3


def quartics():
    difference = OUTPUTS.astype("float64") - VALUES
    return (difference**4).mean(axis=1), 4 * difference**3 / 3


# Losses in all the ways they may be given; labels, outputs, and the losses in NumPy.
LOSSES = [
    pytest.param(
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        CLASSES,
        LOGITS,
        cross_entropies,
        id="cross-entropy",
    ),
    pytest.param(keras.losses.MeanSquaredError(), VALUES, OUTPUTS, squares, id="object"),
    pytest.param(keras.losses.MeanSquaredError, VALUES, OUTPUTS, squares, id="class"),
    pytest.param("mean_squared_error", VALUES, OUTPUTS, squares, id="name"),
    pytest.param("mae", VALUES, OUTPUTS, absolutes, id="short-name"),
    pytest.param(keras.losses.mean_absolute_error, VALUES, OUTPUTS, absolutes, id="function"),
    pytest.param(quartic, VALUES, OUTPUTS, quartics, id="own-function"),
]


def partly(y, present):
    """Labels of which only some are present."""
    y = y.copy()
    y[~present] = -1 if y.dtype.kind == "i" else np.nan
    return y


def value_and_gradient(loss, y, outputs, **kwargs):
    value = ops.convert_to_numpy(loss(y, outputs, **kwargs))
    return float(value), input_gradients(lambda p: loss(y, p, **kwargs), outputs)


class TestAgainstNumPy:
    @pytest.mark.parametrize(("loss", "y", "outputs", "reference"), LOSSES)
    @given(present=masks)
    def test_mean_over_labelled_samples(self, loss, y, outputs, reference, present):
        losses, gradients = reference()
        count = max(present.sum(), 1)
        value, gradient = value_and_gradient(MaskedLoss(loss), partly(y, present), outputs)
        assert value == pytest.approx(losses[present].sum() / count, rel=1e-5, abs=1e-6)
        expected = gradients * present[:, None] / count
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(("loss", "y", "outputs", "reference"), LOSSES[:2])
    @pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
    @given(present=masks)
    def test_sample_weights(self, loss, y, outputs, reference, shape, present):
        """`sum_{i in S} w_i l_i / |S|`: by the number of samples, not by their weights."""
        losses, gradients = reference()
        count = max(present.sum(), 1)
        value, gradient = value_and_gradient(
            MaskedLoss(loss), partly(y, present), outputs, sample_weight=WEIGHTS.reshape(shape)
        )
        weights = WEIGHTS * present / count
        assert value == pytest.approx(weights @ losses, rel=1e-5, abs=1e-6)
        np.testing.assert_allclose(gradient, weights[:, None] * gradients, rtol=1e-5, atol=1e-6)

    @given(present=masks, weighted=st.booleans())
    def test_sum_stays_a_sum(self, present, weighted):
        loss = MaskedLoss(keras.losses.MeanSquaredError(reduction="sum"))
        weights = WEIGHTS if weighted else np.ones(SAMPLES)
        value, gradient = value_and_gradient(
            loss, partly(VALUES, present), OUTPUTS, sample_weight=WEIGHTS if weighted else None
        )
        losses, gradients = squares()
        assert value == pytest.approx((weights * losses)[present].sum(), rel=1e-5, abs=1e-6)
        expected = (weights * present)[:, None] * gradients
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)

    @given(present=masks, weighted=st.booleans())
    def test_mean_with_sample_weight_divides_by_the_weights(self, present, weighted):
        loss = MaskedLoss(keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"))
        weights = (WEIGHTS if weighted else np.ones(SAMPLES)) * present
        weights = weights / max(weights.sum(), 1e-9)
        value, gradient = value_and_gradient(
            loss, partly(VALUES, present), OUTPUTS, sample_weight=WEIGHTS if weighted else None
        )
        losses, gradients = squares()
        assert value == pytest.approx(weights @ losses, rel=1e-5, abs=1e-6)
        np.testing.assert_allclose(gradient, weights[:, None] * gradients, rtol=1e-5, atol=1e-6)


class TestOtherLosses:
    """Losses that Keras does not reduce as a mean of one value a sample."""

    present = np.array([True, False, True, True, False, True])

    def test_ignored_classes_are_not_counted(self):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)
        y = np.array([2, 1, 0, 3, 2, 1], "int32")
        counted = self.present & (y != 2)
        losses = -log_softmax(LOGITS.astype("float64"), axis=1)[np.arange(SAMPLES), y]
        value, gradient = value_and_gradient(MaskedLoss(loss), partly(y, self.present), LOGITS)
        assert value == pytest.approx(losses[counted].mean(), rel=1e-5)
        expected = (softmax(LOGITS.astype("float64"), axis=1) - np.eye(4)[y]) * counted[:, None]
        np.testing.assert_allclose(gradient, expected / counted.sum(), rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight", "mean"])
    def test_several_positions_a_sample(self, reduction):
        y, outputs = RNG.random((2, SAMPLES, 5, 3)).astype("float32")
        weights = WEIGHTS * self.present
        losses = ((y - outputs).astype("float64") ** 2).mean(axis=2)
        divisor = {"sum": 1, "mean": 5 * self.present.sum()}.get(reduction, 5 * weights.sum())
        loss = MaskedLoss(keras.losses.MeanSquaredError(reduction=reduction))
        value = loss(partly(y, self.present), outputs, sample_weight=WEIGHTS)
        assert float(value) == pytest.approx((weights @ losses).sum() / divisor, rel=1e-5)

    def test_one_number_for_a_batch(self):
        """As it is where all labels are there; it cannot be masked, and does not pretend to."""

        def root(y_true, y_pred):
            return ops.sqrt(ops.mean((y_true - y_pred) ** 2))

        whole = np.sqrt(((VALUES - OUTPUTS).astype("float64") ** 2).mean())
        assert float(MaskedLoss(root)(VALUES, OUTPUTS)) == pytest.approx(whole, rel=1e-5)
        weighted = MaskedLoss(root)(VALUES, OUTPUTS, sample_weight=WEIGHTS)
        assert float(weighted) == pytest.approx(whole * WEIGHTS.mean(), rel=1e-5)
        assert np.isnan(float(MaskedLoss(root)(partly(VALUES, self.present), OUTPUTS)))
        assert float(MaskedLoss(root)(np.full_like(VALUES, np.nan), OUTPUTS)) == 0

    def test_a_loss_that_reduces_itself(self):
        class Doubled(keras.losses.MeanSquaredError):
            def __call__(self, y_true, y_pred, sample_weight=None):
                return 2 * super().__call__(y_true, y_pred, sample_weight)

        value = MaskedLoss(Doubled())(partly(VALUES, self.present), OUTPUTS, WEIGHTS)
        expected = 2 * (WEIGHTS * squares()[0])[self.present].sum() / self.present.sum()
        assert float(value) == pytest.approx(expected, rel=1e-5)

    def test_labels_that_cannot_be_missing(self):
        loss = MaskedLoss(keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        losses = cross_entropies()[0]
        y = CLASSES.astype("uint8")
        assert float(loss(y, LOGITS)) == pytest.approx(losses.mean(), rel=1e-5)
        weighted = loss(y, LOGITS, sample_weight=WEIGHTS)
        assert float(weighted) == pytest.approx((WEIGHTS * losses).mean(), rel=1e-5)


@pytest.mark.parametrize("present", ["101101", "111111", "000010"])
@pytest.mark.parametrize("loss", ["Huber", "LogCosh", "CosineSimilarity"])
def test_plain_keras_agrees_on_the_labelled_samples(loss, present):
    present = np.array([digit == "1" for digit in present])
    loss = getattr(keras.losses, loss)()
    value, gradient = value_and_gradient(MaskedLoss(loss), partly(VALUES, present), OUTPUTS)
    expected = np.zeros_like(OUTPUTS)
    plain, expected[present] = value_and_gradient(loss, VALUES[present], OUTPUTS[present])
    assert value == pytest.approx(plain, rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum"])
def test_nothing_labelled(reduction):
    loss = MaskedLoss(keras.losses.MeanSquaredError(reduction=reduction))
    y = np.full_like(VALUES, np.nan)
    for kwargs in ({}, {"sample_weight": WEIGHTS}, {"sample_weight": np.full(SAMPLES, np.nan)}):
        value, gradient = value_and_gradient(loss, y, OUTPUTS, **kwargs)
        assert value == 0
        np.testing.assert_array_equal(gradient, np.zeros_like(OUTPUTS))


def test_a_batch_without_labels_at_all():
    """Zero with a zero gradient, whatever the outputs are."""
    for outputs in (OUTPUTS, np.array([[1.0, np.inf, np.nan]], "float32")):
        assert float(ops.convert_to_numpy(unlabelled_loss(outputs))) == 0
        np.testing.assert_array_equal(
            input_gradients(unlabelled_loss, outputs), np.zeros_like(outputs)
        )


class TestWhatIsMissing:
    @pytest.mark.parametrize(
        ("y", "expected"),
        [
            (np.array([0, -1, 5, -2], "int32"), [True, False, True, True]),
            (np.array([0, -1, 5], "int8"), [True, False, True]),
            (np.array([0, 255, 254], "uint8"), [True, True, True]),
            (np.array([True, False]), [True, True]),
            (np.array([0.0, -1.0, np.nan, np.inf], "float32"), [True, True, False, True]),
            (np.array([0.0, np.nan], "float16"), [True, False]),
            (np.array([[1.0, 2.0], [1.0, np.nan], [np.nan, np.nan]]), [True, False, False]),
            (np.array([[1, 2], [-1, 2], [-1, -1]]), [True, False, False]),
            (np.array([[[1.0], [np.nan]], [[1.0], [2.0]]]), [False, True]),
            (np.zeros((3, 0), "float32"), [True, True, True]),
        ],
    )
    def test_labelled(self, y, expected):
        found = labelled(y)
        assert keras.backend.standardize_dtype(found.dtype) == "bool"
        assert ops.convert_to_numpy(found).tolist() == expected

    def test_labelled_bfloat16(self):
        y = ops.cast(np.array([[1.0, 2.0], [np.nan, 1.0]]), "bfloat16")
        assert ops.convert_to_numpy(labelled(y)).tolist() == [True, False]

    @given(present=masks)
    def test_fill_missing(self, present):
        found = ops.convert_to_numpy(fill_missing(partly(VALUES, present), present))
        np.testing.assert_array_equal(found, np.where(present[:, None], VALUES, 0))
        found = ops.convert_to_numpy(fill_missing(partly(CLASSES, present), present))
        np.testing.assert_array_equal(found, np.where(present, CLASSES, 0))

    def test_masked_weight(self):
        present = np.array([True, False, True])
        assert ops.convert_to_numpy(masked_weight(present)).tolist() == [1, 0, 1]
        for weight in (np.array([2, 3, 4]), np.array([[2.0], [np.nan], [4.0]])):
            found = masked_weight(present, weight)
            assert keras.backend.standardize_dtype(found.dtype) == "float32"
            assert ops.convert_to_numpy(found).tolist() == [2, 0, 4]

    def test_255_is_a_label(self):
        loss = MaskedLoss(keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        logits = np.zeros((2, 256), "float32")
        logits[:, 255] = 9.0
        value = loss(np.array([255, 255], "uint8"), logits)
        assert float(value) == pytest.approx(np.log(1 + 255 * np.exp(-9.0)), rel=1e-4)


class TestShapes:
    """(batch,) and (batch, 1) are compared sample by sample, not as a matrix."""

    y = np.array([1.0, np.nan, -2.0, 4.0], "float32")
    p = np.array([3.0, 7.0, 1.0, 4.0], "float32")
    expected = (2.0**2 + 3.0**2 + 0) / 3

    @pytest.mark.parametrize(
        "loss",
        [
            "mse",
            keras.losses.MeanSquaredError(),
            lambda t, p: ops.mean((t - p) ** 2, axis=-1),
            OwnLoss(),
        ],
        ids=["name", "object", "function", "own-object"],
    )
    @pytest.mark.parametrize(("y_shape", "p_shape"), [((4,), (4, 1)), ((4, 1), (4, 1))])
    def test_column(self, loss, y_shape, p_shape):
        value = MaskedLoss(loss)(self.y.reshape(y_shape), self.p.reshape(p_shape))
        assert float(value) == pytest.approx(self.expected)

    @pytest.mark.parametrize(
        "loss", ["mse", keras.losses.MeanSquaredError()], ids=["name", "object"]
    )
    def test_label_column(self, loss):
        assert float(MaskedLoss(loss)(self.y[:, None], self.p)) == pytest.approx(self.expected)

    def test_class_column(self):
        loss = MaskedLoss("sparse_categorical_crossentropy")
        probability = np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]], "float32")
        y = np.array([0, 1, -1])
        expected = -(np.log(0.5) + np.log(0.75)) / 2
        for labels in (y, y[:, None]):
            assert float(loss(labels, probability)) == pytest.approx(expected, rel=1e-5)

    def test_lists(self):
        assert float(MaskedLoss("mse")([[1.0], [2.0]], np.array([[3.0], [2.0]]))) == 2.0


class TestConfig:
    @pytest.mark.parametrize(("loss", "y", "outputs", "reference"), LOSSES)
    def test_round_trip(self, loss, y, outputs, reference):
        loss = MaskedLoss(loss, name="mine")
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
        restored = keras.saving.deserialize_keras_object(config)
        assert type(restored) is MaskedLoss and restored.name == "mine"
        assert keras.saving.serialize_keras_object(restored) == config
        y = partly(y, np.arange(SAMPLES) % 2 == 0)
        assert float(restored(y, outputs)) == float(loss(y, outputs))
        assert float(restored(y, outputs)) == pytest.approx(reference()[0][::2].mean(), rel=1e-5)

    def test_arguments_of_the_loss_are_kept(self):
        plain = keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="sum", name="certain"
        )
        restored = MaskedLoss.from_config(MaskedLoss(plain).get_config())
        assert restored.name == "certain"
        assert restored.loss.get_config() == plain.get_config()
        value = float(restored(CLASSES, LOGITS))
        assert value == pytest.approx(cross_entropies()[0].sum(), rel=1e-5)

    @pytest.mark.parametrize(
        ("loss", "name"),
        [("mse", "mean_squared_error"), (keras.losses.Huber(), "huber_loss"), (quartic, "quartic")],
    )
    def test_names(self, loss, name):
        assert MaskedLoss(loss).name == name

    def test_a_masked_loss_is_not_masked_twice(self):
        inner = keras.losses.MeanSquaredError()
        assert MaskedLoss(MaskedLoss(inner)).loss is inner

    def test_function_loss_round_trip(self):
        loss = FunctionLoss(quartic, reduction="sum")
        restored = FunctionLoss.from_config(json.loads(json.dumps(loss.get_config())))
        assert (restored.function, restored.reduction) == (quartic, "sum")


class TestErrors:
    @pytest.mark.parametrize("loss", [None, 3, np.ones(2)])
    def test_not_a_loss(self, loss):
        with pytest.raises(ValueError, match="Expected a Keras loss, a function or the name"):
            MaskedLoss(loss)

    def test_unknown_name(self):
        with pytest.raises(ValueError, match="no_such_loss"):
            MaskedLoss("no_such_loss")

    @pytest.mark.parametrize("reduction", ["none", None])
    def test_reduction_to_many_numbers(self, reduction):
        with pytest.raises(ValueError, match=rf"reduces to one number.*reduction={reduction!r}"):
            MaskedLoss(keras.losses.MeanSquaredError(reduction=reduction))


def test_in_plain_keras():
    """compile() and fit() take it; unlabelled samples do not move the weights."""
    x = RNG.normal(size=(8, 2)).astype("float32")
    y = (x @ [[1.0], [2.0]]).astype("float32")
    y[::2] = np.nan
    inputs = keras.Input((2,))
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Model(inputs, dense(inputs))
    model.compile(keras.optimizers.SGD(0.1), MaskedLoss("mse"))
    history = model.fit(x, y, batch_size=8, epochs=1, verbose=0).history
    assert history["loss"][0] == pytest.approx(np.mean(y[1::2] ** 2), rel=1e-5)
    step = 0.1 * 2 * x[1::2].T @ y[1::2] / 4
    np.testing.assert_allclose(ops.convert_to_numpy(dense.kernel), step, rtol=1e-4)


def test_losses_of_several_positions_a_sample():
    """A sample with a loss for each of its steps: masked by sample, mean over all steps."""
    rng = np.random.default_rng(0)
    y, outputs = rng.random((6, 4, 3)), rng.random((6, 4, 3))
    there = np.array([True, False, True, True, False, True])
    partial = np.where(there[:, None, None], y, np.nan)
    weight = rng.random(6)
    squared = ((y - outputs) ** 2).mean(axis=(1, 2))
    received = MaskedLoss("mean_squared_error")(partial, outputs, sample_weight=weight)
    np.testing.assert_allclose(float(received), (squared * weight)[there].sum() / 4, rtol=1e-5)
