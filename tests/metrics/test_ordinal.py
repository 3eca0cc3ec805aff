"""Metrics of ordered bins on a line, and what decoders tell all metrics of bins."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from mtlkit.heads.targets import BinsTarget, PhasesTarget
from mtlkit.metrics import (
    CircularAccuracy,
    CircularMeanAbsoluteError,
    MaskedMetric,
    OrdinalAccuracy,
    OrdinalMeanAbsoluteError,
)


def as_logits(bins, num_bins):
    return np.eye(num_bins, dtype="float32")[bins] * 5


def score(metric, true, outputs, **kwargs):
    metric.reset_state()
    metric.update_state(true, outputs, **kwargs)
    return float(ops.convert_to_numpy(metric.result()))


class TestOrdinal:
    @given(within=st.integers(0, 11), seed=st.integers(0, 99))
    def test_numpy_agrees(self, within, seed):
        true, predicted = np.random.default_rng(seed).integers(12, size=(2, 40))
        logits = as_logits(predicted, 12)
        away = np.abs(true - predicted)
        found = score(OrdinalMeanAbsoluteError(12), true, logits)
        assert found == pytest.approx(away.mean(), rel=1e-6)
        found = score(OrdinalAccuracy(12, within), true, logits)
        assert found == pytest.approx(np.mean(away <= within), rel=1e-6)

    def test_the_ends_are_far_from_each_other(self):
        true, logits = np.array([0, 11]), as_logits([11, 0], 12)
        assert score(OrdinalMeanAbsoluteError(12), true, logits) == 11
        assert score(OrdinalAccuracy(12, within=10), true, logits) == 0

    def test_column_labels_and_weights(self):
        logits, weights = as_logits([0, 3, 5], 12), np.array([1.0, 2.0, 0.0])
        for true in (np.array([3, 1, 2]), np.array([[3], [1], [2]])):
            found = score(OrdinalMeanAbsoluteError(12), true, logits, sample_weight=weights)
            assert found == pytest.approx((3 + 2 * 2) / 3)

    def test_masked(self):
        metric = MaskedMetric(OrdinalMeanAbsoluteError(4))
        assert score(metric, np.array([3, -1, 0, -1]), as_logits([0, 3, 1, 1], 4)) == 2.0

    def test_names(self):
        assert OrdinalMeanAbsoluteError(8).name == "mae_bins"
        assert OrdinalAccuracy(8).name == "accuracy_within_1"
        assert OrdinalAccuracy(8, 0).name == "accuracy"
        assert OrdinalAccuracy(8, 2, name="near").name == "near"


class TestDecoder:
    """Positions need not be whole, nor be told by logits."""

    turn = np.array([0.02, 0.26, 0.99, 0.5])
    outputs = np.stack([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)], axis=1)

    def test_errors_are_not_rounded_but_bins_are(self):
        decoder, true = PhasesTarget(8), np.array([0, 3, 0, 4])
        away = np.abs((self.turn * 8 - true + 4) % 8 - 4)
        found = score(CircularMeanAbsoluteError(8, decoder=decoder), true, self.outputs)
        assert found == pytest.approx(away.mean() * 45, rel=1e-4)
        near = np.abs((np.round(self.turn * 8) - true + 4) % 8 - 4)
        for within in (0, 1):
            metric = CircularAccuracy(8, within, decoder=decoder)
            assert score(metric, true, self.outputs) == pytest.approx(np.mean(near <= within))

    @pytest.mark.parametrize("period", [360.0, 180.0])
    def test_labels_in_degrees(self, period):
        true = np.array([0.0, 0.3, 0.01, 0.75]) * period
        options = {"label_period": period, "decoder": PhasesTarget(8)}
        away = np.abs((self.turn - true / period + 0.5) % 1 - 0.5)
        metric = CircularMeanAbsoluteError(8, period, **options)
        assert score(metric, true, self.outputs) == pytest.approx(away.mean() * period, rel=1e-4)
        metric = CircularAccuracy(8, 0, **options)
        assert score(metric, true, self.outputs) == pytest.approx(3 / 4)

    def test_decision(self):
        logits = np.log([[0.3, 0.1, 0.15, 0.45]]).astype("float32")
        decoder = BinsTarget(4, circular=False, decision="least_cost")
        assert score(OrdinalMeanAbsoluteError(4), np.array([0]), logits) == 3
        assert score(OrdinalMeanAbsoluteError(4, decoder=decoder), np.array([0]), logits) == 2


METRICS = [
    OrdinalMeanAbsoluteError(8, name="mine"),
    OrdinalAccuracy(8, within=2),
    OrdinalAccuracy(8, decoder=BinsTarget(8, circular=False, decision="least_cost")),
    CircularAccuracy(8, 0, label_period=180, decoder=BinsTarget(8, decision="least_cost")),
    CircularMeanAbsoluteError(8, 180.0, label_period=180.0, decoder=BinsTarget(8)),
]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_config_round_trip(metric):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored) is type(metric)
    rng = np.random.default_rng(0)
    true, logits = rng.integers(8, size=40), rng.normal(size=(40, 8)).astype("float32")
    assert score(restored, true, logits) == score(metric, true, logits)
    again = json.loads(json.dumps(keras.saving.serialize_keras_object(restored)))
    assert again == config


@pytest.mark.parametrize("cls", [OrdinalMeanAbsoluteError, OrdinalAccuracy])
def test_errors(cls):
    with pytest.raises(ValueError, match="Expected num_bins >= 2. Received: num_bins=1"):
        cls(1)
    with pytest.raises(ValueError, match="bins are on a line. Received: label_period=360"):
        cls(8, label_period=360)


def test_negative_tolerance():
    with pytest.raises(ValueError, match="Expected within >= 0. Received: within=-1"):
        OrdinalAccuracy(8, within=-1)
