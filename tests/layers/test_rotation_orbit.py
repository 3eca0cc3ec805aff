"""RotationOrbit: a layer applied to the four quarter turns of its input."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from mtlkit.layers import RotationOrbit
from mtlkit.testing import LayerTestCase

LAST = {"data_format": "channels_last"}
IMAGES = np.random.default_rng(0).normal(size=(3, 6, 6, 2)).astype("float32")


def network(outputs=None):
    """A network without any symmetry, from images to a map, or to a dict."""
    image = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(3, 3, strides=2, activation="relu")(image)
    x = keras.layers.BatchNormalization()(x)
    vector = keras.layers.Dense(4)(keras.layers.Flatten()(x))
    return keras.Model(image, {"map": x, "vector": vector} if outputs == "dict" else x)


def turned(x, quarters, axes=(1, 2)):
    return np.rot90(x, quarters, axes=axes).copy()


def array(x):
    return ops.convert_to_numpy(x)


class TestContract(LayerTestCase):
    def test_map(self):
        layer = keras.layers.Conv2D(3, 3, strides=2)
        self.run_layer_test(
            RotationOrbit, {"layer": layer} | LAST, IMAGES, expected_output_shape=(3, 4, 2, 2, 3)
        )

    def test_vector_of_channels_first(self):
        kwargs = {"layer": keras.layers.Flatten(), "data_format": "channels_first"}
        x = np.moveaxis(IMAGES, -1, 1)
        self.run_layer_test(RotationOrbit, kwargs, x, expected_output_shape=(3, 4, 72))

    def test_dict(self):
        kwargs = {"layer": network("dict")} | LAST
        self.check_config(RotationOrbit, kwargs, IMAGES)
        self.check_batch_sizes(RotationOrbit, kwargs, IMAGES)
        self.check_weights(RotationOrbit, kwargs, IMAGES)
        shapes = {"map": (3, 4, 2, 2, 3), "vector": (3, 4, 4)}
        self.check_symbolic_call(RotationOrbit, kwargs, IMAGES, expected_output_shape=shapes)
        self.check_saving(RotationOrbit, kwargs, IMAGES)
        self.check_gradients(RotationOrbit, kwargs, IMAGES)


def test_entries_are_those_of_the_turned_images():
    layer = network()
    found = array(RotationOrbit(layer, **LAST)(IMAGES))
    for k in range(4):  # clockwise
        expected = array(layer(turned(IMAGES, -k)))
        np.testing.assert_allclose(found[:, k], expected, atol=1e-5)


@settings(max_examples=8)
@given(seed=st.integers(0, 999), quarters=st.integers(1, 3))
def test_turning_the_image_rolls_the_entries(seed, quarters):
    keras.utils.set_random_seed(seed)
    orbit = RotationOrbit(network("dict"), **LAST)
    plain, after = (orbit(x) for x in (IMAGES, turned(IMAGES, quarters)))
    for name in ("map", "vector"):
        expected = np.roll(array(plain[name]), quarters, axis=1)
        np.testing.assert_allclose(array(after[name]), expected, atol=1e-5)
        assert np.abs(array(after[name]) - array(plain[name])).max() > 0.01


def test_channels_first():
    x = np.moveaxis(IMAGES, -1, 1)
    orbit = RotationOrbit(keras.layers.Flatten(), data_format="channels_first")
    found = array(orbit(x))
    for k in range(4):
        np.testing.assert_array_equal(found[:, k], turned(x, -k, axes=(2, 3)).reshape(3, -1))


def test_weights_are_shared():
    layer = network()
    orbit = RotationOrbit(layer, **LAST)
    orbit(IMAGES)
    assert len(orbit.weights) == len(layer.weights)
    assert all(one is two for one, two in zip(orbit.weights, layer.weights, strict=True))


def test_training_reaches_the_layer():
    """Batch normalisation sees all turns, as one batch of four times the size."""
    layer, other = network(), network()
    other.set_weights(layer.get_weights())
    everything = np.concatenate([turned(IMAGES, -k) for k in range(4)])
    found = array(RotationOrbit(layer, **LAST)(IMAGES, training=True))
    expected = array(other(everything, training=True)).reshape(4, *found[:, 0].shape)
    np.testing.assert_allclose(np.moveaxis(found, 1, 0), expected, atol=1e-5)
    for one, two in zip(layer.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_precision_is_that_of_the_layer():
    """Images that a float32 layer normalises are not rounded before."""
    layer = keras.layers.Flatten(dtype="float32")
    orbit = RotationOrbit(layer, dtype="mixed_bfloat16", **LAST)
    np.testing.assert_array_equal(array(orbit(IMAGES))[:, 0], IMAGES.reshape(3, -1))


def test_output_shapes():
    orbit = RotationOrbit(network("dict"), **LAST)
    expected = {"map": (None, 4, 2, 2, 3), "vector": (None, 4, 4)}
    assert orbit.compute_output_shape((None, 6, 6, 2)) == expected
    assert {k: x.shape for k, x in orbit(keras.Input((6, 6, 2))).items()} == expected


@pytest.mark.parametrize("shape", [(6, 4, 2), (None, 6, 2), (6, None, 2), (None, None, 2)])
def test_images_must_be_square(shape):
    with pytest.raises(ValueError, match=r"Expected square images.*Received: input_shape=\(None"):
        RotationOrbit(keras.layers.Flatten(), **LAST)(keras.Input(shape))


def test_inputs_must_be_images():
    with pytest.raises(ValueError, match="expected ndim=4, found ndim=3"):
        RotationOrbit(keras.layers.Flatten())(IMAGES[0])
