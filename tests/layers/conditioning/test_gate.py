"""GatedConditioning: channels turned up and down."""

import numpy as np
import pytest
from keras import ops
from scipy.special import expit

from mtlkit.layers.conditioning import GatedConditioning

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.ones(3), size=2).astype("float32")


def make(shape, kernel):
    layer = GatedConditioning()
    layer.build([shape, P.shape])
    layer.projection.kernel.assign(kernel)
    return layer


@pytest.mark.parametrize("shape", [(2, 4), (2, 5, 4), (2, 3, 5, 4)], ids=str)
def test_formula(shape):
    z = RNG.normal(size=shape).astype("float32")
    kernel = RNG.normal(size=(3, 4))
    found = ops.convert_to_numpy(make(shape, kernel)([z, P]))
    for row in range(2):
        gate = 2 * expit(P[row].astype("float64") @ kernel)
        np.testing.assert_allclose(found[row], gate * z[row], rtol=1e-5, atol=1e-6)


def test_gates_lie_between_0_and_2():
    z = np.ones((2, 4), "float32")
    found = ops.convert_to_numpy(make(z.shape, np.full((3, 4), 1e4))([z, P]))
    np.testing.assert_allclose(found, 2, rtol=1e-6)
    found = ops.convert_to_numpy(make(z.shape, np.full((3, 4), -1e4))([z, P]))
    np.testing.assert_allclose(found, 0, atol=1e-6)
