"""GradientHistogram: gradient orientations, counted."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from mtlkit.layers import GradientHistogram
from mtlkit.testing import LayerTestCase, input_gradients

LAST = {"data_format": "channels_last"}


def images(seed=0, shape=(2, 8, 8, 2)):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def histogram(x, num_bins=8, cells=1):
    return ops.convert_to_numpy(GradientHistogram(num_bins, cells, **LAST)(x))


def differences(x):
    """Central differences to the right and up, by NumPy, with the border repeated."""
    padded = np.pad(x.astype("float64"), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    right = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    up = (padded[:, :-2, 1:-1] - padded[:, 2:, 1:-1]) / 2
    return right, up


def reference(x, num_bins, cells):
    """Pixel by pixel: the norm goes to the two nearest directions."""
    right, up = differences(x)
    norm, angle = np.hypot(right, up), np.arctan2(up, right)
    batch, height, width, _ = x.shape
    found = np.zeros((batch, cells, cells, num_bins))
    for at in np.ndindex(x.shape):
        position = angle[at] / (2 * np.pi) * num_bins % num_bins
        lower = int(np.floor(position))
        cell = at[0], at[1] * cells // height, at[2] * cells // width
        found[(*cell, lower % num_bins)] += norm[at] * (lower + 1 - position)
        found[(*cell, (lower + 1) % num_bins)] += norm[at] * (position - lower)
    return found


class TestContract(LayerTestCase):
    @pytest.mark.parametrize(
        ("kwargs", "x", "shape"),
        [
            ({"num_bins": 6, "cells": 2} | LAST, images(), (2, 2, 2, 6)),
            (
                {"num_bins": 8, "cells": 1, "data_format": "channels_first"},
                images(shape=(2, 2, 6, 4)),
                (2, 1, 1, 8),
            ),
        ],
        ids=["last", "first"],
    )
    def test_layer(self, kwargs, x, shape):
        self.run_layer_test(GradientHistogram, kwargs, x, expected_output_shape=shape)


@pytest.mark.parametrize("num_bins", [2, 3, 8, 32])
@pytest.mark.parametrize("cells", [1, 2, 4])
def test_numpy_agrees(num_bins, cells):
    x = images(num_bins, (2, 8, 4, 2))
    found = histogram(x, num_bins, cells)
    np.testing.assert_allclose(found, reference(x, num_bins, cells), atol=1e-4)


@given(seed=st.integers(0, 999), num_bins=st.sampled_from([2, 5, 32]))
def test_nothing_is_lost(seed, num_bins):
    x = images(seed)
    total = np.hypot(*differences(x)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(histogram(x, num_bins).sum(axis=(1, 2, 3)), total, rtol=1e-4)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_directions_are_counter_clockwise(quarters):
    ramp = np.tile(np.arange(6, dtype="float32"), (1, 6, 1))[..., None]  # brighter to the right
    found = histogram(np.rot90(ramp, quarters, axes=(1, 2)).copy(), 8)[0, 0, 0]
    assert found[2 * quarters] == pytest.approx(6 * (4 + 2 / 2), rel=1e-5)  # the borders count half
    assert found.sum() == pytest.approx(found[2 * quarters], rel=1e-5)


@given(seed=st.integers(0, 99), brightness=st.floats(-5, 5))
def test_brightness_does_not_matter(seed, brightness):
    x = images(seed)
    found = histogram(x + np.float32(brightness))
    np.testing.assert_allclose(found, histogram(x), atol=1e-3)


@given(seed=st.integers(0, 99))
def test_negatives_roll_by_half_a_turn(seed):
    x = images(seed)
    np.testing.assert_allclose(histogram(-x), np.roll(histogram(x), 4, axis=-1), atol=1e-4)


@given(seed=st.integers(0, 99), quarters=st.integers(1, 3))
def test_quarter_turns_roll_by_quarters(seed, quarters):
    x = images(seed)
    turned = histogram(np.rot90(x, quarters, axes=(1, 2)).copy(), 12)
    expected = np.roll(histogram(x, 12), 3 * quarters, axis=-1)
    np.testing.assert_allclose(turned, expected, atol=1e-4)


def test_quarter_turns_also_turn_the_cells():
    x = images()
    turned = histogram(np.rot90(x, axes=(1, 2)).copy(), 12, cells=4)
    expected = np.roll(np.rot90(histogram(x, 12, cells=4), axes=(1, 2)), 3, axis=-1)
    np.testing.assert_allclose(turned, expected, atol=1e-4)


def test_data_formats_agree():
    x = images()
    layer = GradientHistogram(8, 2, data_format="channels_first")
    found = ops.convert_to_numpy(layer(np.moveaxis(x, -1, 1)))
    np.testing.assert_allclose(found, histogram(x, 8, 2), atol=1e-5)


def test_images_of_bytes():
    x = np.random.default_rng(0).integers(256, size=(2, 8, 8, 1)).astype("uint8")
    np.testing.assert_allclose(histogram(x), histogram(x.astype("float32")), rtol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-18, 1e-12, 1e12])
def test_finite_gradients(scale):
    """On constant images the norm has no slope, and the angle no value."""
    weights = ops.arange(8, dtype="float32")
    layer = GradientHistogram(8, 2, **LAST)
    layer.build((2, 8, 8, 2))
    for x in (scale * images(), 1 + 0 * images()):
        gradient = input_gradients(lambda x: ops.sum(layer(x) * weights), x)
        assert np.isfinite(gradient).all()
        assert np.isfinite(ops.convert_to_numpy(layer(x))).all()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_bins": 1}, "Expected num_bins >= 2. Received: num_bins=1"),
        ({"cells": 0}, "Expected cells >= 1. Received: cells=0"),
        ({"data_format": "last"}, "Received: data_format='last'"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        GradientHistogram(**kwargs)


@pytest.mark.parametrize("size", [(7, 7), (8, 6), (5, 9), (3, 2), (1, 1)])
def test_maps_of_any_size(size):
    x = images(shape=(2, *size, 2))
    np.testing.assert_allclose(histogram(x, 8, 4), reference(x, 8, 4), atol=1e-4)


@pytest.mark.parametrize("shape", [(None, 8, 1), (8, None, 1)])
def test_size_must_be_known(shape):
    with pytest.raises(ValueError, match=r"known height and width.* Received: input_shape=\(None"):
        GradientHistogram(cells=4, **LAST)(keras.Input(shape))
