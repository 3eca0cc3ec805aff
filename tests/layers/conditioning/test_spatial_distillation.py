"""SpatialDistillation: another task's map, where attention finds it of use."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.signal import correlate
from scipy.special import expit
from this_machine import skip_where_bfloat16_channels_first_is_missing

from mtlkit.layers.conditioning import SpatialDistillation
from mtlkit.testing import LayerTestCase, gradients

RNG = np.random.default_rng(0)
OWN = RNG.normal(size=(2, 4, 5, 3)).astype("float32")
OTHER = RNG.normal(size=(2, 4, 5, 2)).astype("float32")
P = RNG.dirichlet(np.ones(6), size=2).astype("float32")
INPUTS = [OWN, OTHER, P]


def first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim == 4 else x


def make(data_format="channels_last", **kwargs):
    """A layer with random weights."""
    layer = SpatialDistillation(data_format=data_format, **kwargs)
    channels_first = data_format == "channels_first"
    layer.build([first(x).shape if channels_first else x.shape for x in INPUTS])
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def convolved(x, conv):
    kernel, bias = map(ops.convert_to_numpy, (conv.kernel, conv.bias))
    planes = [
        sum(correlate(x[..., i], kernel[..., i, o], mode="same") for i in range(x.shape[-1]))
        for o in range(kernel.shape[-1])
    ]
    return np.stack(planes, axis=-1) + bias


class TestContract(LayerTestCase):
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_layer(self, data_format):
        if data_format == "channels_first":
            skip_where_bfloat16_channels_first_is_missing()
        inputs = INPUTS if data_format == "channels_last" else [first(x) for x in INPUTS]
        self.run_layer_test(
            SpatialDistillation,
            {"kernel_size": 3, "data_format": data_format},
            inputs,
            expected_output_shape=inputs[0].shape,
        )


def test_identity_at_the_start():
    layer = SpatialDistillation()
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(INPUTS)), OWN)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_formula(kernel_size):
    layer = make(kernel_size=kernel_size)
    found = ops.convert_to_numpy(layer(INPUTS))
    for row in range(2):
        seen = np.empty((4, 5, 8))
        seen[..., :2], seen[..., 2:] = OTHER[row], P[row]
        gate, message = convolved(seen, layer.gate), convolved(seen, layer.message)
        np.testing.assert_allclose(found[row], OWN[row] + expit(gate) * message, atol=1e-4)


def test_channels_first():
    expected = ops.convert_to_numpy(make()(INPUTS))
    found = ops.convert_to_numpy(make("channels_first")([first(x) for x in INPUTS]))
    np.testing.assert_allclose(found, first(expected), rtol=1e-4, atol=1e-4)


def test_two_steps_reach_every_weight():
    layer = SpatialDistillation()
    layer(INPUTS)

    def step():
        found = gradients(lambda: ops.sum(layer(INPUTS) ** 2), layer.trainable_weights)
        for weight, gradient in zip(layer.trainable_weights, found, strict=True):
            weight.assign_sub(1e-3 * gradient)
        return [bool(np.all(gradient != 0)) for gradient in found]

    assert step() == [False, False, True, True]  # those of the message only
    assert step() == [True] * 4


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 4, 5, 3), (2, 6)], r"Expected \[map, other_map, condition\]"),
        ([(2, 4, 3), (2, 4, 3), (2, 6)], r"both maps with two spatial axes\. Received: inp"),
        ([(2, 4, 5, 3), (2, 4, 6, 2), (2, 6)], r"same height and width\. .*\(2, 4, 6, 2\)"),
        ([(2, 4, 5, 3), (2, 4, 5, None), (2, 6)], r"known numbers of channels.*None"),
        ([(2, 4, 5, 3), (2, 4, 5, 2), (2, 6, 1)], r"condition of shape \(batch, n\)"),
    ],
    ids=str,
)
def test_bad_shapes(shapes, message):
    with pytest.raises(ValueError, match=message):
        SpatialDistillation(data_format="channels_last").build(shapes)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"kernel_size >= 1. Received: kernel_size=0"):
        SpatialDistillation(kernel_size=0)
    with pytest.raises(ValueError, match="Received: data_format='last'"):
        SpatialDistillation(data_format="last")


def test_data_format_is_that_of_keras():
    keras.config.set_image_data_format("channels_first")
    assert SpatialDistillation().data_format == "channels_first"
