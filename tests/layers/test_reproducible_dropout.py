"""ReproducibleDropout: masks from a hash, alike on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from mtlkit.layers import ReproducibleDropout
from mtlkit.layers._reproducible_random import _hash
from mtlkit.testing import LayerTestCase, input_gradients


def numpy_hash(x):
    """Wellons' lowbias32 in unsigned arithmetic."""
    x = np.atleast_1d(x).astype("uint32")
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x ^= x >> np.uint32(shift)
        x = x * np.uint32(factor)
    return x ^ (x >> np.uint32(16))


def masks(layer, shape, calls=1):
    ones = np.ones(shape, "float32")
    return [ops.convert_to_numpy(layer(ones, training=True)) == 0 for _ in range(calls)]


class TestContract(LayerTestCase):
    def test_layer(self):
        x = np.random.default_rng(0).normal(size=(4, 6))
        self.run_layer_test(ReproducibleDropout, {"rate": 0.3, "seed": 2}, x)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20))
def test_hash_is_that_of_unsigned_numbers(numbers):
    received = ops.convert_to_numpy(_hash(ops.convert_to_tensor(numbers, dtype="int32")))
    np.testing.assert_array_equal(received.astype("uint32"), numpy_hash(numbers))


def test_first_mask_is_the_formula():
    position = np.arange(1, 13, dtype="uint32")
    key = numpy_hash((1 + 5 * 0x9E3779B9) % 2**32)
    bits = numpy_hash(position ^ key) & np.uint32(0x7FFFFFFF)
    expected = (bits < int(0.4 * 2**31)).reshape(3, 4)
    np.testing.assert_array_equal(masks(ReproducibleDropout(0.4, seed=5), (3, 4))[0], expected)


def test_masks_look_random():
    """Rate, and no correlation between calls, neighbours and seeds: 4 standard deviations."""
    layer = ReproducibleDropout(0.3)
    first, second = masks(layer, (100, 1000), calls=2)
    (other,) = masks(ReproducibleDropout(0.3, seed=1), (100, 1000))
    bound = 4 / np.sqrt(first.size)
    assert abs(first.mean() - 0.3) < bound * np.sqrt(0.3 * 0.7)
    pairs = [
        (first, second),
        (first, other),
        (first[:, 1:], first[:, :-1]),
        (first[1:], first[:-1]),
    ]
    for one, two in pairs:
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 1.1 * bound
    assert first.mean(axis=0).std() == pytest.approx(np.sqrt(0.3 * 0.7 / 100), rel=0.1)


def test_values_and_gradients_are_scaled_or_dropped():
    x = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    (dropped,) = masks(ReproducibleDropout(0.25), x.shape)
    expected = np.where(dropped, 0, 1 / 0.75)
    received = ops.convert_to_numpy(ReproducibleDropout(0.25)(x, training=True))
    np.testing.assert_allclose(received, x * expected, rtol=1e-6)
    layer = ReproducibleDropout(0.25)
    layer.build(x.shape)
    gradient = input_gradients(lambda x: ops.sum(layer(x, training=True)), x)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_identity_outside_training_and_without_a_rate():
    x = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(ReproducibleDropout(0.5)(x)), x)
    zero = ReproducibleDropout(0.0)(x, training=True)
    np.testing.assert_array_equal(ops.convert_to_numpy(zero), x)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2])
def test_bad_rate(rate):
    with pytest.raises(ValueError, match="Expected a rate in"):
        ReproducibleDropout(rate)
