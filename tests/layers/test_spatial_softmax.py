"""SpatialSoftmax: where each channel is active."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.special import softmax

from mtlkit.layers import FeaturePooling, SpatialSoftmax
from mtlkit.testing import LayerTestCase

MAP = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype("float32")


def read(x, **kwargs):
    """Positions x and y, and values, each of shape (batch, channels)."""
    return np.split(ops.convert_to_numpy(SpatialSoftmax(**kwargs)(x)), 3, axis=1)


def reference(x, temperature):
    """Pixel by pixel."""
    batch, height, width, channels = x.shape
    p = softmax(x.astype("float64") / temperature, axis=(1, 2))
    found = np.zeros((3, batch, channels))
    for row in range(height):
        for column in range(width):
            at = [-1 + 2 * column / (width - 1), -1 + 2 * row / (height - 1)]
            for sums, value in zip(found, [*at, x[:, row, column]], strict=True):
                sums += p[:, row, column] * value
    return found


class TestContract(LayerTestCase):
    def test_layer(self):
        self.run_layer_test(SpatialSoftmax, {"temperature": 0.5}, MAP, expected_output_shape=(3, 6))

    def test_as_pooling_of_channels_first(self):
        kwargs = {"pooling": "spatial_softmax", "data_format": "channels_first"}
        x = np.moveaxis(MAP, -1, 1)
        self.run_layer_test(FeaturePooling, kwargs, x, expected_output_shape=(3, 6))


@given(temperature=st.sampled_from([0.1, 1.0, 5.0]), seed=st.integers(0, 99))
def test_numpy_agrees(temperature, seed):
    x = np.random.default_rng(seed).normal(size=(3, 4, 5, 2)).astype("float32")
    np.testing.assert_allclose(
        read(x, temperature=temperature), reference(x, temperature), atol=1e-5
    )


def test_constant_maps_are_in_the_middle():
    x, y, value = read(np.full((1, 5, 8, 2), 0.7, "float32"))
    np.testing.assert_allclose([x, y], 0, atol=1e-6)
    np.testing.assert_allclose(value, 0.7, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:You are using a softmax")  # over a single position
@pytest.mark.parametrize("shape", [(1, 1, 6, 2), (1, 6, 1, 2), (1, 1, 1, 2)])
def test_single_rows_are_in_the_middle(shape):
    x, y, _ = read(np.full(shape, 0.7, "float32"))
    np.testing.assert_allclose([x, y], 0, atol=1e-6)


def test_cold_it_is_the_position_of_the_maximum():
    x, y, value = read(MAP, temperature=1e-3)
    flat = MAP.reshape(3, 20, 2)
    row, column = np.unravel_index(flat.argmax(axis=1), (4, 5))
    np.testing.assert_allclose(x, column / 2 - 1, atol=1e-4)
    np.testing.assert_allclose(y, row / 1.5 - 1, atol=1e-4)
    np.testing.assert_allclose(value, flat.max(axis=1), atol=1e-4)


def test_hot_it_is_the_average():
    x, y, value = read(MAP, temperature=1e5)
    np.testing.assert_allclose([x, y], 0, atol=1e-4)
    np.testing.assert_allclose(value, MAP.mean(axis=(1, 2)), atol=1e-4)


def test_flips():
    x, y, value = read(MAP)
    for axis, expected in ((2, (-x, y, value)), (1, (x, -y, value))):
        np.testing.assert_allclose(read(np.flip(MAP, axis).copy()), expected, atol=1e-6)


def test_brightness_moves_the_value_only():
    x, y, value = read(MAP)
    np.testing.assert_allclose(read(MAP + 100), (x, y, value + 100), atol=1e-4)


def test_each_channel_has_its_temperature():
    layer = SpatialSoftmax()
    layer.build(MAP.shape)
    layer.log_temperature.assign(np.log([0.2, 3.0]))
    found = np.split(ops.convert_to_numpy(layer(MAP)), 3, axis=1)
    expected = [reference(MAP[..., [c]], t) for c, t in ((0, 0.2), (1, 3.0))]
    np.testing.assert_allclose(found, np.concatenate(expected, axis=2), atol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_bad_temperature(temperature):
    with pytest.raises(ValueError, match=f"temperature > 0. Received: temperature={temperature}"):
        SpatialSoftmax(temperature)


@pytest.mark.parametrize("shape", [(None, 4, 2), (4, None, 2)])
def test_size_must_be_known(shape):
    with pytest.raises(ValueError, match=r"Expected a map of known size.*None"):
        SpatialSoftmax()(keras.Input(shape))


def test_another_size_is_not_misread():
    """Of the same number of pixels, that is."""
    layer = SpatialSoftmax()
    layer(MAP)
    with pytest.raises(ValueError, match="incompatible with the layer"):
        layer(np.swapaxes(MAP, 1, 2).copy())
