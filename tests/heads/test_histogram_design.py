"""HistogramDesign: reads a fixed descriptor of edges."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from mtlkit.heads.designs import HistogramDesign
from mtlkit.testing import LayerTestCase, input_gradients

SMALL = {"hidden_units": 6, "num_directions": 8, "cells": 2}
LAST = {"data_format": "channels_last"}
IMAGES = np.random.default_rng(0).random((3, 8, 8, 2)).astype("float32")


def predict(design, x):
    return ops.convert_to_numpy(design(x))


class TestContract(LayerTestCase):
    def test_channels_first(self):
        """The other format is checked on the head that has this design."""
        kwargs = {"units": 5, **SMALL, "dropout": 0.1, "data_format": "channels_first"}
        x = np.moveaxis(IMAGES, -1, 1)
        self.run_layer_test(HistogramDesign, kwargs, x, expected_output_shape=(3, 5))


class TestBrightness:
    design = None

    @given(contrast=st.floats(0.01, 100), brightness=st.floats(-2, 2))
    def test_brightness_and_contrast_do_not_matter(self, contrast, brightness):
        if TestBrightness.design is None:
            TestBrightness.design = HistogramDesign(5, **SMALL, **LAST)
        expected = predict(self.design, IMAGES)
        found = predict(self.design, np.float32(contrast) * (IMAGES + np.float32(brightness)))
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_descriptor_has_unit_scale():
    """The network reads numbers of root mean square 1, whatever their number."""
    for cells, directions in ((1, 8), (4, 32)):
        design = HistogramDesign(1, hidden_units=0, num_directions=directions, cells=cells, **LAST)
        design.build(IMAGES.shape)
        descriptor = ops.convert_to_numpy(design.features(IMAGES))
        assert descriptor.shape == (3, cells**2 * directions)
        np.testing.assert_allclose(np.mean(descriptor**2, axis=1), 1, rtol=1e-4)


@pytest.mark.parametrize("level", [0.0, 0.7])
def test_constant_images(level):
    """Nothing to see: a finite output, and no gradient that would spoil the trunk."""
    design = HistogramDesign(5, **SMALL, **LAST)
    x = np.full((2, 8, 8, 2), level, "float32")
    assert np.isfinite(predict(design, x)).all()
    assert np.isfinite(input_gradients(lambda x: ops.sum(design(x)), x)).all()


def test_no_hidden_layer():
    design = HistogramDesign(5, hidden_units=0, cells=1, num_directions=8, **LAST)
    design.build((None, 8, 8, 1))
    assert [tuple(weight.shape) for weight in design.trainable_weights] == [(8, 5), (5,)]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"units": 0}, "units >= 1. Received: units=0"),
        ({"units": 5, "cells": 0}, "cells >= 1. Received: cells=0"),
        ({"units": 5, "num_directions": 1}, "num_bins >= 2. Received: num_bins=1"),
        ({"units": 5, "hidden_units": -1}, "hidden_units >= 0. Received: hidden_units=-1"),
        ({"units": 5, "dropout": 1.0}, "Received: rate=1.0"),
        ({"units": 5, "data_format": "last"}, "Received: data_format='last'"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        HistogramDesign(**kwargs)


def test_size_must_be_known():
    with pytest.raises(ValueError, match="known height and width"):
        HistogramDesign(5, **LAST)(keras.Input((None, 8, 1)))
