"""FiLM: channels scaled and shifted."""

import numpy as np
import pytest
from keras import ops

from mtlkit.layers.conditioning import FiLM
from mtlkit.testing import gradients

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.ones(3), size=2).astype("float32")


@pytest.mark.parametrize("shape", [(2, 4), (2, 5, 4), (2, 3, 5, 4)], ids=str)
def test_formula(shape):
    z = RNG.normal(size=shape).astype("float32")
    layer = FiLM()
    layer.build([shape, P.shape])
    kernel, bias = RNG.normal(size=(3, 8)), RNG.normal(size=8)
    layer.projection.set_weights([kernel, bias])
    expected = np.empty(shape)
    for row in range(2):  # sample by sample, channel by channel
        numbers = P[row].astype("float64") @ kernel + bias
        for channel in range(4):
            gain, shift = 1 + numbers[channel], numbers[4 + channel]
            expected[row, ..., channel] = gain * z[row, ..., channel] + shift
    np.testing.assert_allclose(ops.convert_to_numpy(layer([z, P])), expected, atol=1e-5)


def test_every_weight_learns_from_the_first_step():
    z = RNG.normal(size=(2, 4)).astype("float32")
    layer = FiLM()
    layer([z, P])
    found = gradients(lambda: ops.sum(layer([z, P]) ** 2), layer.trainable_weights)
    assert all(np.all(gradient != 0) for gradient in found)
