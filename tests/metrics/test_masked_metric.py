"""MaskedMetric: the plain metric on the labelled samples, and NaN where there are none."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score, roc_auc_score

from mtlkit.metrics import LabelledMean, MaskedMetric

SAMPLES = 12
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(SAMPLES, 3)).astype("float32")
CLASSES = RNG.integers(3, size=SAMPLES)
OUTPUTS = RNG.random((SAMPLES, 1)).astype("float32")
VALUES = RNG.random(SAMPLES).astype("float32")
SIGNS = np.arange(SAMPLES) % 2

masks = st.lists(st.booleans(), min_size=SAMPLES, max_size=SAMPLES).map(np.array)


def partly(y, present):
    y = y.copy()
    y[~present] = -1 if y.dtype.kind == "i" else np.nan
    return y


def result(metric):
    return float(ops.convert_to_numpy(metric.result()))


def accuracy(y, outputs, weight=None):
    return accuracy_score(y, outputs.argmax(axis=1), sample_weight=weight)


def mae(y, outputs, weight=None):
    return mean_absolute_error(y, outputs[:, 0], sample_weight=weight)


METRICS = [
    pytest.param(keras.metrics.SparseCategoricalAccuracy, CLASSES, LOGITS, accuracy, id="accuracy"),
    pytest.param(lambda: "mae", VALUES, OUTPUTS, mae, id="name"),
    pytest.param(lambda: keras.metrics.MeanAbsoluteError, VALUES, OUTPUTS, mae, id="class"),
    pytest.param(lambda: keras.losses.mean_absolute_error, VALUES, OUTPUTS, mae, id="function"),
]


@pytest.mark.parametrize(("make", "y", "outputs", "reference"), METRICS)
@given(present=masks.filter(np.any), batches=st.integers(1, 4), weighted=st.booleans())
def test_scikit_learn_agrees(make, y, outputs, reference, present, batches, weighted):
    """On the labelled samples, in whatever batches; some batches have no label at all."""
    metric = MaskedMetric(make())
    labels, weights = partly(y, present), RNG.uniform(0.1, 3, SAMPLES) if weighted else None
    for part in np.array_split(np.arange(SAMPLES), batches):
        metric.update_state(labels[part], outputs[part], None if weights is None else weights[part])
    weights = None if weights is None else weights[present]
    expected = reference(y[present], outputs[present], weights)
    assert result(metric) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_metrics_that_are_no_means():
    present = np.arange(SAMPLES) % 5 != 0
    metric = MaskedMetric(keras.metrics.R2Score())
    metric.update_state(partly(VALUES[:, None], present), OUTPUTS)
    assert result(metric) == pytest.approx(r2_score(VALUES[present], OUTPUTS[present]), rel=1e-4)

    metric = MaskedMetric(keras.metrics.AUC(num_thresholds=2000))
    metric.update_state(partly(SIGNS, present), OUTPUTS)
    expected = roc_auc_score(SIGNS[present], OUTPUTS[present, 0])
    assert result(metric) == pytest.approx(expected, abs=1e-3)


def test_nothing_labelled_is_neither_good_nor_bad():
    for metric, y, outputs in (
        (MaskedMetric("mae"), np.full(SAMPLES, np.nan), OUTPUTS),
        (MaskedMetric(keras.metrics.SparseCategoricalAccuracy()), np.full(SAMPLES, -1), LOGITS),
    ):
        assert np.isnan(result(metric))
        metric.update_state(y, outputs)
        assert np.isnan(result(metric))


def test_zero_score_is_not_nan():
    metric = MaskedMetric(keras.metrics.SparseCategoricalAccuracy())
    metric.update_state(np.array([0, -1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert result(metric) == 0.0


def test_reset():
    metric = MaskedMetric("mae")
    metric.update_state(VALUES, OUTPUTS)
    assert not np.isnan(result(metric))
    metric.reset_state()
    assert np.isnan(result(metric))
    metric.update_state(np.array([1.0]), np.array([[3.0]]))
    assert result(metric) == 2.0


def test_column_labels_are_not_a_matrix():
    for y in (VALUES, VALUES[:, None]):
        metric = MaskedMetric("mae")
        metric.update_state(y, OUTPUTS)
        assert result(metric) == pytest.approx(np.abs(VALUES - OUTPUTS[:, 0]).mean(), rel=1e-5)
        metric = MaskedMetric(lambda y_true, y_pred: ops.mean((y_true - y_pred) ** 2, axis=-1))
        metric.update_state(y, ops.convert_to_tensor(OUTPUTS))
        assert result(metric) == pytest.approx(((VALUES - OUTPUTS[:, 0]) ** 2).mean(), rel=1e-5)


class TestConfig:
    def test_round_trip(self):
        metric = MaskedMetric(keras.metrics.TopKCategoricalAccuracy(k=2, name="top"), name="mine")
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
        restored = keras.saving.deserialize_keras_object(config)
        assert type(restored) is MaskedMetric and restored.name == "mine"
        assert restored.metric.get_config() == metric.metric.get_config()
        assert keras.saving.serialize_keras_object(restored) == config

    def test_name_is_that_of_the_metric(self):
        assert MaskedMetric(keras.metrics.SparseCategoricalAccuracy(name="acc")).name == "acc"
        assert MaskedMetric("mae").name == "mae"

    def test_a_masked_metric_is_not_masked_twice(self):
        inner = keras.metrics.MeanAbsoluteError()
        assert MaskedMetric(MaskedMetric(inner)).metric is inner

    def test_unknown_name(self):
        with pytest.raises(ValueError, match="no_such_metric"):
            MaskedMetric("no_such_metric")

    def test_without_sample_weight(self):
        class Unweighted(keras.metrics.Mean):
            def update_state(self, y_true, y_pred):
                return super().update_state(y_pred)

        with pytest.raises(ValueError, match=r"update_state takes sample_weight.*Unweighted"):
            MaskedMetric(Unweighted(name="mine"))


def test_in_plain_keras():
    """In compile(), over batches of which one has no label; and reset between epochs."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones")(inputs))
    model.compile(keras.optimizers.SGD(0.0), metrics=[MaskedMetric("mae")], loss=lambda t, p: p * 0)
    y = partly(VALUES, np.arange(SAMPLES) >= 5)
    history = model.fit(OUTPUTS, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    expected = np.abs(VALUES - OUTPUTS[:, 0])[5:].mean()
    assert history["mae"] == pytest.approx([expected, expected], rel=1e-5)


class TestLabelledMean:
    @given(st.lists(st.tuples(st.floats(-100, 100, width=32), st.integers(0, 9)), max_size=6))
    def test_weighted_mean(self, batches):
        mean = LabelledMean(name="loss")
        for value, samples in batches:
            mean.update_state(value, sample_weight=samples)
        values, samples = np.array(batches, "float64").reshape(-1, 2).T
        if samples.sum():
            expected = np.average(values, weights=samples)
            assert result(mean) == pytest.approx(expected, rel=1e-4, abs=1e-4)
        else:
            assert np.isnan(result(mean))

    def test_reset(self):
        mean = LabelledMean()
        mean.update_state(3.0, sample_weight=2)
        mean.reset_state()
        assert np.isnan(result(mean))
