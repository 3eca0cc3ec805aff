"""TaskAttention: a mask on shared features."""

import numpy as np
import pytest
from keras import ops
from scipy.special import expit

from mtlkit.layers.task_attention import TaskAttention
from mtlkit.testing import LayerTestCase

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(2, 4, 5, 3)).astype("float32")
U = RNG.normal(size=(2, 4, 5, 6)).astype("float32")
WEIGHTS = [RNG.normal(size=shape) for shape in [(6, 3), 3, (3, 3), 3]]


def first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def make(z=Z, u=U, data_format="channels_last"):
    layer = TaskAttention(data_format)
    layer.build([z.shape, u.shape])
    layer.set_weights(WEIGHTS)
    return layer


def mask(u):
    """The mask of one vector."""
    kernel, bias, kernel2, bias2 = WEIGHTS
    return expit(np.maximum(u.astype("float64") @ kernel + bias, 0) @ kernel2 + bias2)


class TestContract(LayerTestCase):
    def test_maps(self):
        self.run_layer_test(
            TaskAttention,
            {"data_format": "channels_first"},
            [first(Z), first(U)],
            expected_output_shape=(2, 3, 4, 5),
        )

    def test_vectors(self):
        inputs = [Z[:, 0, 0], U[:, 0, 0]]
        self.check_batch_sizes(TaskAttention, {}, inputs)
        self.check_symbolic_call(TaskAttention, {}, inputs, expected_output_shape=(2, 3))


@pytest.mark.parametrize("at", [(), (0,), (0, 0)], ids=str)
def test_formula(at):
    z, u = Z[(slice(None), *at)], U[(slice(None), *at)]
    masks = np.array([mask(vector) for vector in u.reshape(-1, 6)]).reshape(z.shape)
    layer = make(z, u)
    np.testing.assert_allclose(ops.convert_to_numpy(layer([z, u])), masks * z, atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.attention(u)), masks, atol=1e-5)


def test_channels_first():
    layer = make(first(Z), first(U), "channels_first")
    found = ops.convert_to_numpy(layer([first(Z), first(U)]))
    np.testing.assert_allclose(found, first(ops.convert_to_numpy(make()([Z, U]))), atol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 3)], r"Expected \[features, context\].*Received: input_shape="),
        ([(2, 3), (2, 4, 3)], r"same number of axes, at least two"),
        ([(2,), (2,)], r"same number of axes, at least two"),
        ([(2, 4, 5, 3), (2, 5, 4, 3)], r"for the same positions.*\(2, 5, 4, 3\)"),
        ([(2, 3), (2, None)], r"known numbers of channels. Received: shapes \(2, 3\)"),
        ((2, 3), r"Expected \[features, context\]"),
    ],
    ids=str,
)
def test_bad_shapes(shapes, message):
    with pytest.raises(ValueError, match=message):
        TaskAttention("channels_last").build(shapes)
