"""AddCoordinates: where each pixel is, as channels."""

import keras
import numpy as np
import pytest
from keras import ops

from mtlkit.layers import AddCoordinates
from mtlkit.testing import LayerTestCase

LAST = {"data_format": "channels_last"}
MAP = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")


def added(x, **kwargs):
    return ops.convert_to_numpy(AddCoordinates(**(LAST | kwargs))(x))


class TestContract(LayerTestCase):
    @pytest.mark.parametrize(
        ("kwargs", "x", "shape"),
        [
            (LAST, MAP, (2, 4, 5, 6)),
            ({"use_radius": False} | LAST, MAP, (2, 4, 5, 5)),
            ({"data_format": "channels_first"}, np.moveaxis(MAP, -1, 1), (2, 6, 4, 5)),
        ],
        ids=["last", "no radius", "first"],
    )
    def test_layer(self, kwargs, x, shape):
        self.run_layer_test(AddCoordinates, kwargs, x, expected_output_shape=shape)


def test_values_pixel_by_pixel():
    found = added(MAP)
    np.testing.assert_array_equal(found[..., :3], MAP)
    for row in range(4):
        for column in range(5):
            x, y = -1 + 2 * column / 4, -1 + 2 * row / 3
            expected = [x, y, np.sqrt(x**2 + y**2)]
            np.testing.assert_allclose(found[0, row, column, 3:], expected, atol=1e-6)
    np.testing.assert_array_equal(found[0, ..., 3:], found[1, ..., 3:])


def test_formats_and_radius_agree():
    first = added(np.moveaxis(MAP, -1, 1), data_format="channels_first")
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), added(MAP))
    np.testing.assert_array_equal(added(MAP, use_radius=False), added(MAP)[..., :5])


def test_a_single_row_is_in_the_middle():
    np.testing.assert_array_equal(added(MAP[:, :1])[0, 0, :, 4], np.zeros(5))
    np.testing.assert_array_equal(added(MAP[:1, :1, :1])[0, 0, 0, 3:], np.zeros(3))


def test_integers_become_numbers():
    """Coordinates in bytes would be -1, 0 and 1 at best."""
    x = np.random.default_rng(0).integers(256, size=(1, 4, 5, 1)).astype("uint8")
    np.testing.assert_array_equal(added(x), added(x.astype("float32")))


def test_sees_translation_that_pooling_does_not():
    image = np.zeros((1, 8, 8, 1), "float32")
    image[0, 2, 2] = 1
    moved = np.roll(image, 3, axis=2)
    where = [(added(x)[0, ..., 0] * added(x)[0, ..., 1]).sum() for x in (image, moved)]
    np.testing.assert_allclose(where, [-1 + 4 / 7, -1 + 10 / 7], atol=1e-6)


@pytest.mark.parametrize("shape", [(None, 8, 3), (8, None, 3)])
def test_size_must_be_known(shape):
    with pytest.raises(ValueError, match=r"Expected a map of known height and width.*None"):
        AddCoordinates(**LAST)(keras.Input(shape))


def test_size_must_not_change():
    layer = AddCoordinates(**LAST)
    layer(MAP)
    with pytest.raises(ValueError, match="incompatible with the layer"):
        layer(MAP[:, :3])


def test_unknown_data_format():
    with pytest.raises(ValueError, match="Received: data_format='last'"):
        AddCoordinates(data_format="last")
