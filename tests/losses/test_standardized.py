"""StandardizedLoss: a loss of labels and outputs less their mean, over their scale."""

import json

import keras
import numpy as np
import pytest

from mtlkit.losses import MaskedLoss, StandardizedLoss

RNG = np.random.default_rng(0)
MEAN, SCALE = np.array([2026.0, -5e-6]), np.array([3.0, 1e-6])
Y = (MEAN + SCALE * RNG.normal(size=(7, 2))).astype("float32")
OUTPUTS = (MEAN + SCALE * RNG.normal(size=(7, 2))).astype("float32")
WEIGHT = RNG.random(7).astype("float32")
Z, Z_OUTPUTS = ((v.astype("float64") - MEAN) / SCALE for v in (Y, OUTPUTS))


def huber(error):
    size = np.abs(error)
    return np.where(size <= 1, size**2 / 2, size - 0.5)


@pytest.mark.parametrize(
    ("loss", "of_error"),
    [
        ("mean_squared_error", np.square),
        ("mae", np.abs),
        (keras.losses.Huber(), huber),
        (MaskedLoss(keras.losses.MeanSquaredError()), np.square),
    ],
    ids=["mse", "mae", "huber", "masked"],
)
def test_value_is_that_of_standardised_values(loss, of_error):
    missing = np.arange(7) == 3
    y = np.where(missing[:, None], np.float32(np.nan), Y)
    per_sample = of_error(Z_OUTPUTS - Z).mean(axis=1)
    value = StandardizedLoss(loss, (MEAN, SCALE))(y, OUTPUTS, WEIGHT)
    expected = (per_sample * WEIGHT)[~missing].mean()
    assert float(value) == pytest.approx(expected, rel=2e-3)  # float32 labels around 2026


def test_integers_without_a_label():
    y, outputs = np.array([4000, -1, 7000]), np.array([[5000.0], [0.0], [7000.0]])
    value = float(StandardizedLoss("mse", (5000.0, 1000.0))(y, outputs))
    assert value == pytest.approx((1.0 + 0.0) / 2)


def test_saved_with_what_the_statistics_are_then():
    statistics = [0.0, 1.0]
    loss = StandardizedLoss("mse", lambda: tuple(statistics))
    before = float(loss(np.array([[3.0]]), np.array([[1.0]])))
    statistics[:] = [1.0, 2.0]
    assert (before, float(loss(np.array([[3.0]]), np.array([[1.0]])))) == (4.0, 1.0)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    statistics[:] = [0.0, 1.0]
    restored = keras.saving.deserialize_keras_object(config)
    assert float(restored(np.array([[3.0]]), np.array([[1.0]]))) == 1.0


def test_is_not_standardised_twice():
    inner = StandardizedLoss("mse", (100.0, 100.0))
    outer = StandardizedLoss(inner, (0.0, 2.0))
    assert float(outer(np.array([[4.0]]), np.array([[0.0]]))) == 4.0


def test_masking_it_keeps_it():
    loss = MaskedLoss(StandardizedLoss("mse", (0.0, 2.0)))
    value = loss(np.array([[4.0], [np.nan]]), np.array([[0.0], [1.0]]))
    assert float(value) == pytest.approx(4.0)
