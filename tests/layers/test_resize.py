"""Bilinear resizing by two products."""

import keras
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from mtlkit.layers._resize import resize


@pytest.mark.parametrize("size", [(8, 6), (5, 9), (4, 3), (2, 2), (1, 7)])
def test_as_interpolation_between_centres(size):
    x = np.random.default_rng(0).normal(size=(2, 4, 3, 2)).astype("float32")
    found = keras.ops.convert_to_numpy(resize(keras.ops.convert_to_tensor(x), *size))
    places = np.meshgrid(
        *((np.arange(new) + 0.5) * old / new - 0.5 for new, old in zip(size, (4, 3), strict=True)),
        indexing="ij",
    )
    for image, resized in zip(x, found, strict=True):
        for channel in range(2):
            expected = map_coordinates(image[..., channel], places, order=1, mode="nearest")
            np.testing.assert_allclose(resized[..., channel], expected, atol=1e-5)


def test_of_half_precision():
    x = keras.ops.ones((1, 2, 2, 1), "bfloat16")
    assert keras.backend.standardize_dtype(resize(x, 4, 4).dtype) == "bfloat16"
