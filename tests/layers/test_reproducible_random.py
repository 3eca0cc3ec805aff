"""Random numbers from a hash, against unsigned arithmetic in NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.stats import chisquare, kstest

from mtlkit.layers._reproducible_random import random_bits, random_uniform

GOLDEN = 0x9E3779B9


def numpy_hash(x):
    """Wellons' lowbias32 in unsigned arithmetic."""
    x = np.atleast_1d(x).astype("uint32")
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = x ^ (x >> np.uint32(shift))
        x = x * np.uint32(factor)
    return x ^ (x >> np.uint32(16))


def numpy_bits(size, call, seed):
    key = numpy_hash((call + seed * GOLDEN) % 2**32)
    return numpy_hash(np.arange(1, size + 1, dtype="uint32") ^ key) & np.uint32(0x7FFFFFFF)


def bits(shape, call=1, seed=0):
    return ops.convert_to_numpy(random_bits(shape, call, seed))


def uniform(shape, call=1, seed=0):
    return ops.convert_to_numpy(random_uniform(shape, call, seed))


@given(call=st.integers(0, 2**31 - 1), seed=st.integers(-(2**40), 2**40))
def test_numpy_agrees(call, seed):
    np.testing.assert_array_equal(bits((12,), call, seed), numpy_bits(12, call, seed))
    expected = numpy_bits(12, call, seed).astype("float32") * np.float32(2**-30) - 1
    np.testing.assert_allclose(uniform((12,), call, seed), expected, atol=1e-7)


def test_shapes_only_arrange():
    flat = bits((24,), 3, 1)
    for shape in ((4, 6), (2, 3, 4), (24, 1)):
        found = random_bits(shape, 3, 1)
        assert tuple(found.shape) == shape and ops.convert_to_numpy(found).dtype == "int32"
        np.testing.assert_array_equal(ops.convert_to_numpy(found).ravel(), flat)
    sizes = (ops.shape(ops.zeros((4, 1)))[0], 6)  # as in a graph: a tensor among numbers
    np.testing.assert_array_equal(bits(sizes, 3, 1).ravel(), flat)


def test_uniform():
    """Kolmogorov and Smirnov's test, and Pearson's of single bits."""
    drawn = uniform((100_000,), 7, 3)
    assert drawn.dtype == "float32" and drawn.min() >= -1 and drawn.max() <= 1
    assert kstest(drawn, "uniform", (-1, 2)).pvalue > 0.01
    numbers = bits((100_000,), 7, 3)
    for bit in range(31):
        ones = np.count_nonzero(numbers & (1 << bit))
        assert chisquare([ones, len(numbers) - ones]).pvalue > 1e-4
    assert numbers.min() >= 0


@pytest.mark.parametrize(
    ("one", "two"),
    [((1, 0), (2, 0)), ((1, 0), (1, 1)), ((2, 0), (1, 1)), ((1, 0), (1, 2**30)), ((1, 5), (6, 0))],
)
def test_calls_and_seeds_differ(one, two):
    """Also a seed is not a later call of another one."""
    first, second = (uniform((10_000,), *which) for which in (one, two))
    assert np.mean(first == second) < 0.01
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / 100


def test_calls_may_wrap_around():
    largest = np.int32(2**31 - 1)
    np.testing.assert_array_equal(bits((5,), largest, 3), numpy_bits(5, 2**31 - 1, 3))
