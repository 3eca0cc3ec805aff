"""ExpertMixtureConditioning: an affine map for each predicted class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from mtlkit.layers.conditioning import ExpertMixtureConditioning
from mtlkit.testing import gradients

RNG = np.random.default_rng(0)
KERNEL, BIAS = RNG.normal(size=(3, 4, 4)), RNG.normal(size=(3, 4))
SHAPES = [(2, 4), (2, 5, 4), (2, 3, 5, 4)]


def make(shape, order=(0, 1, 2)):
    layer = ExpertMixtureConditioning()
    layer.build([shape, (None, 3)])
    layer.kernel.assign(KERNEL[list(order)])
    layer.bias.assign(BIAS[list(order)])
    return layer


def mixed(layer, z, p):
    return ops.convert_to_numpy(layer([z, np.asarray(p, "float32")]))


def expert(number, z):
    """The map of one expert, position by position."""
    flat = [x + x @ KERNEL[number] + BIAS[number] for x in z.reshape(-1, 4).astype("float64")]
    return np.reshape(flat, z.shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_hot_selects_an_expert(shape):
    z = RNG.normal(size=shape).astype("float32")
    found = mixed(make(shape), z, np.eye(3)[[2, 0]])
    np.testing.assert_allclose(found, [expert(2, z[0]), expert(0, z[1])], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_uniform_gives_the_mean_expert(shape):
    z = RNG.normal(size=shape).astype("float32")
    expected = np.mean([expert(number, z) for number in range(3)], axis=0)
    found = mixed(make(shape), z, np.full((2, 3), 1 / 3))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_outputs_are_mixed_by_the_probabilities(shape):
    z = RNG.normal(size=shape).astype("float32")
    p = RNG.dirichlet(np.ones(3), size=2)
    expected = [sum(p[row, a] * expert(a, z[row]) for a in range(3)) for row in range(2)]
    np.testing.assert_allclose(mixed(make(shape), z, p), expected, rtol=1e-4, atol=1e-5)


@given(order=st.permutations(range(3)))
def test_order_of_the_classes_does_not_matter(order):
    z = RNG.normal(size=(2, 4)).astype("float32")
    p = RNG.dirichlet(np.ones(3), size=2)
    found = mixed(make(z.shape, order), z, p[:, order])
    np.testing.assert_allclose(found, mixed(make(z.shape), z, p), rtol=1e-4, atol=1e-5)


def test_every_weight_learns_from_the_first_step():
    z = RNG.normal(size=(2, 4)).astype("float32")
    layer = ExpertMixtureConditioning()
    p = np.full((2, 3), 1 / 3, "float32")
    layer([z, p])
    found = gradients(lambda: ops.sum(layer([z, p]) ** 2), layer.trainable_weights)
    assert all(np.all(gradient != 0) for gradient in found)
