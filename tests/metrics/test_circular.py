"""Circular metrics: the shorter way around."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from mtlkit.metrics import (
    CircularAccuracy,
    CircularMeanAbsoluteError,
    MaskedMetric,
    circular_distance,
)

positions = st.floats(-500, 500, width=32)
periods = st.sampled_from([1.0, 2 * np.pi, 12.0, 32.0, 360.0])


def brute_force(a, b, period):
    """The least distance of a to any image of b."""
    turns = np.arange(-1100, 1101)
    difference = np.subtract(a, b, dtype="float64")[..., None]
    return np.abs(difference + turns * period).min(axis=-1)


def distance(a, b, period):
    return ops.convert_to_numpy(circular_distance(a, b, period))


def as_logits(bins, num_bins):
    return np.eye(num_bins, dtype="float32")[bins] * 5


def score(metric, true, logits, **kwargs):
    metric.reset_state()
    metric.update_state(true, logits, **kwargs)
    return float(ops.convert_to_numpy(metric.result()))


class TestDistance:
    @given(a=positions, b=positions, period=periods)
    def test_brute_force_agrees(self, a, b, period):
        a, b = np.float32(a), np.float32(b)
        found = distance(a, b, period)
        assert found == pytest.approx(brute_force(a, b, period), abs=1e-3)
        assert -1e-6 <= found <= period / 2 * (1 + 1e-6)

    @pytest.mark.parametrize("num_bins", [2, 3, 8, 31, 32])
    def test_all_pairs_of_bins(self, num_bins):
        a, b = np.meshgrid(np.arange(num_bins), np.arange(num_bins))
        np.testing.assert_array_equal(distance(a, b, num_bins), brute_force(a, b, num_bins))

    @given(a=positions, b=positions, turn=positions, period=periods)
    def test_symmetries(self, a, b, turn, period):
        a, b, turn = np.float32(a), np.float32(b), np.float32(turn)
        expected = distance(a, b, period)
        assert distance(b, a, period) == pytest.approx(expected, abs=1e-3)
        assert distance(a + turn, b + turn, period) == pytest.approx(expected, abs=1e-3)
        assert distance(a + np.float32(3 * period), b, period) == pytest.approx(expected, abs=1e-3)
        assert distance(a, a, period) == 0

    def test_broadcasts(self):
        found = distance(np.array([[0.0], [90.0]]), np.array([350.0, 100.0, 270.0]), 360)
        np.testing.assert_allclose(found, [[10, 100, 90], [100, 10, 180]])

    def test_python_numbers(self):
        assert distance(31, 1, 32) == 2 and distance(0.0, 350, 360.0) == 10


class TestMeanAbsoluteError:
    @given(
        num_bins=st.sampled_from([2, 8, 32, 360]),
        seed=st.integers(0, 99),
        batches=st.integers(1, 3),
    )
    def test_numpy_agrees(self, num_bins, seed, batches):
        rng = np.random.default_rng(seed)
        true, logits = rng.integers(num_bins, size=12), rng.normal(size=(12, num_bins))
        metric = CircularMeanAbsoluteError(num_bins)
        for part in np.array_split(np.arange(12), batches):
            metric.update_state(true[part], logits[part].astype("float32"))
        bins = brute_force(true, logits.argmax(axis=1), num_bins)
        expected = np.mean(bins * 360 / num_bins)
        assert float(ops.convert_to_numpy(metric.result())) == pytest.approx(expected, rel=1e-5)

    @given(shift=st.integers(0, 31))
    def test_rotation_invariance(self, shift):
        rng = np.random.default_rng(0)
        true, predicted = rng.integers(32, size=(2, 50))
        metric = CircularMeanAbsoluteError(32)
        expected = score(metric, true, as_logits(predicted, 32))
        turned = score(metric, (true + shift) % 32, as_logits((predicted + shift) % 32, 32))
        assert turned == pytest.approx(expected, rel=1e-6)
        swapped = score(metric, predicted, as_logits(true, 32))
        assert swapped == pytest.approx(expected, rel=1e-6)

    def test_perfect_opposite_and_uninformed(self):
        rng = np.random.default_rng(0)
        true = rng.integers(32, size=20_000)
        metric = CircularMeanAbsoluteError(32)
        assert score(metric, true, as_logits(true, 32)) == 0
        assert score(metric, true, as_logits((true + 16) % 32, 32)) == 180
        # The error is uniform on the circle: 90 degrees, with standard error 52 / sqrt(20000).
        assert score(metric, true, as_logits(rng.integers(32, size=20_000), 32)) == pytest.approx(
            90, abs=4 * 52 / np.sqrt(20_000)
        )
        assert score(metric, np.arange(32), as_logits(np.full(32, 7), 32)) == pytest.approx(90)

    def test_sample_weights_and_column_labels(self):
        metric = CircularMeanAbsoluteError(4)
        logits = as_logits([0, 3, 1], 4)
        weights = np.array([1.0, 2.0, 0.0])
        for true in (np.array([3, 1, 2]), np.array([[3], [1], [2]])):
            found = score(metric, true, logits, sample_weight=weights)
            assert found == pytest.approx((90 + 2 * 180) / 3)
            assert score(metric, true, logits) == pytest.approx((90 + 180 + 90) / 3)

    def test_mixed_precision_logits(self):
        logits = ops.cast(as_logits([299, 0], 360), "bfloat16")
        assert score(CircularMeanAbsoluteError(360), np.array([300, 359]), logits) == 1.0


class TestAccuracy:
    @given(within=st.integers(0, 16), seed=st.integers(0, 99))
    def test_numpy_agrees(self, within, seed):
        true, predicted = np.random.default_rng(seed).integers(32, size=(2, 40))
        found = score(CircularAccuracy(32, within), true, as_logits(predicted, 32))
        expected = np.mean(brute_force(true, predicted, 32) <= within)
        assert found == pytest.approx(expected, rel=1e-6)

    def test_limits(self):
        true, predicted = np.random.default_rng(0).integers(32, size=(2, 40))
        logits = as_logits(predicted, 32)
        assert score(CircularAccuracy(32, 16), true, logits) == 1
        plain = keras.metrics.SparseCategoricalAccuracy()
        assert score(CircularAccuracy(32, 0), true, logits) == score(plain, true, logits)

    def test_names(self):
        assert CircularAccuracy(32).name == "accuracy_within_1"
        assert CircularAccuracy(32, 3).name == "accuracy_within_3"
        assert CircularAccuracy(32, 3, name="near").name == "near"
        assert CircularMeanAbsoluteError(32).name == "mae_degrees"


def test_masked():
    metric = MaskedMetric(CircularMeanAbsoluteError(4))
    found = score(metric, np.array([3, -1, 0, -1]), as_logits([0, 3, 0, 1], 4))
    assert found == 45.0


@pytest.mark.parametrize(
    "metric",
    [
        CircularMeanAbsoluteError(12, name="mine"),
        CircularAccuracy(12, within=2),
        CircularAccuracy(12),
    ],
    ids=lambda metric: metric.name,
)
def test_config_round_trip(metric):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored) is type(metric)
    assert restored.get_config() == metric.get_config()
    true, predicted = np.random.default_rng(0).integers(12, size=(2, 40))
    logits = as_logits(predicted, 12)
    assert score(restored, true, logits) == score(metric, true, logits)


@pytest.mark.parametrize("cls", [CircularMeanAbsoluteError, CircularAccuracy])
def test_too_few_bins(cls):
    with pytest.raises(ValueError, match=r"Expected num_bins >= 2\. Received: num_bins=1"):
        cls(1)


def test_negative_tolerance():
    with pytest.raises(ValueError, match=r"Expected within >= 0\. Received: within=-1"):
        CircularAccuracy(8, within=-1)
