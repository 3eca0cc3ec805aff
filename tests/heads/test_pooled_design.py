"""PooledDesign: pool the map to a vector, then a small dense network."""

import keras
import numpy as np
import pytest
from keras import ops
from this_machine import skip_where_bfloat16_channels_first_is_missing

from mtlkit.heads.designs import PooledDesign
from mtlkit.testing import LayerTestCase

MAP = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype("float32")
LAST = {"data_format": "channels_last"}


class TestContract(LayerTestCase):
    """What the heads that have this design do not check already."""

    def test_bottleneck_of_coordinates(self):
        skip_where_bfloat16_channels_first_is_missing()
        kwargs = {"units": 3, "pooling": "flatten", "hidden_units": 4, "layer_norm": True}
        kwargs |= {"bottleneck": 5, "use_coordinates": True, "data_format": "channels_first"}
        x = np.moveaxis(MAP, -1, 1)
        self.run_layer_test(PooledDesign, kwargs, x, expected_output_shape=(3, 3))


def test_numpy_agrees():
    """A 1x1 convolution of map and coordinates, flattened, and two dense layers."""
    design = PooledDesign(3, "flatten", hidden_units=4, bottleneck=5, use_coordinates=True, **LAST)
    found = ops.convert_to_numpy(design(MAP))
    y, x = np.mgrid[-1:1:4j, -1:1:5j]
    coordinates = np.broadcast_to(np.stack([x, y, np.hypot(x, y)], axis=-1), (3, 4, 5, 3))
    h = np.concatenate([MAP, coordinates], axis=-1)
    named = {weight.path.split("/", 1)[1]: ops.convert_to_numpy(weight.value)
             for weight in design.weights}  # fmt: skip
    h = np.maximum(h @ named["bottleneck/kernel"][0, 0] + named["bottleneck/bias"], 0)
    h = h.reshape(3, -1)
    h = np.maximum(h @ named["hidden/kernel"] + named["hidden/bias"], 0)
    expected = h @ named["outputs/kernel"] + named["outputs/bias"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_coordinates_show_average_pooling_where_things_are():
    image = np.zeros((1, 8, 8, 1), "float32")
    image[0, 2, 2] = 1
    moved = np.roll(image, 3, axis=2)
    for use_coordinates, sees in ((True, True), (False, False)):
        design = PooledDesign(3, bottleneck=16, use_coordinates=use_coordinates, **LAST)
        one, two = (ops.convert_to_numpy(design(x)) for x in (image, moved))
        assert (np.abs(one - two).max() > 1e-4) == sees


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"units": 0}, "units >= 1. Received: units=0"),
        ({"units": 3, "hidden_units": -1}, "hidden_units >= 0. Received: hidden_units=-1"),
        ({"units": 3, "bottleneck": -2}, "bottleneck >= 0. Received: bottleneck=-2"),
        ({"units": 3, "pooling": "median"}, "'spatial_softmax'.*Received: 'median'"),
        ({"units": 3, "dropout": -0.1}, "Received: rate=-0.1"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PooledDesign(**kwargs)


@pytest.mark.parametrize("kwargs", [{"bottleneck": 4}, {"use_coordinates": True}])
def test_a_vector_has_no_positions(kwargs):
    with pytest.raises(ValueError, match="two spatial axes.*Received: input_shape=.None, 8."):
        PooledDesign(3, **kwargs)(keras.Input((8,)))
