"""BilinearConditioning: products of features and condition."""

import numpy as np
import pytest
from keras import ops

from mtlkit.layers.conditioning import BilinearConditioning, ExpertMixtureConditioning

RNG = np.random.default_rng(0)
SHAPES = [(2, 4), (2, 5, 4), (2, 3, 5, 4)]


def make(shape, rank):
    layer = BilinearConditioning(rank=rank)
    layer.build([shape, (None, 3)])
    for weight in layer.weights:
        weight.assign(RNG.normal(size=weight.shape))
    return layer


def outputs_of(layer, z, p):
    return ops.convert_to_numpy(layer([z, p])).astype("float64")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_position_by_position(shape):
    layer = make(shape, 2)
    u, v, p = (ops.convert_to_numpy(w).astype("float64") for w in layer.weights)
    z = RNG.normal(size=shape).astype("float32")
    seen = RNG.dirichlet(np.ones(3), size=2).astype("float32")
    flat = z.reshape(2, -1, 4).astype("float64")
    expected = [
        [x + ((x @ u) * (c @ v)) @ p for x in row] for row, c in zip(flat, seen, strict=True)
    ]
    np.testing.assert_allclose(
        outputs_of(layer, z, seen), np.reshape(expected, shape), rtol=1e-4, atol=1e-5
    )


def test_with_enough_products_it_is_what_experts_are():
    """Any experts without a bias: every entry of their kernels is one product."""
    kernel = RNG.normal(size=(3, 4, 4))
    experts = ExpertMixtureConditioning()
    experts.build([(None, 4), (None, 3)])
    experts.kernel.assign(kernel)
    layer = make((None, 4), 16)
    rows, columns = np.divmod(np.arange(16), 4)
    layer.of_features.assign(np.eye(4)[:, rows])
    layer.of_condition.assign(kernel[:, rows, columns])
    layer.to_features.assign(np.eye(4)[columns])
    z = RNG.normal(size=(2, 4)).astype("float32")
    p = RNG.dirichlet(np.ones(3), size=2).astype("float32")
    np.testing.assert_allclose(
        outputs_of(layer, z, p), outputs_of(experts, z, p), rtol=1e-4, atol=1e-5
    )


def test_rank_is_checked():
    with pytest.raises(ValueError, match="rank"):
        BilinearConditioning(rank=0)
