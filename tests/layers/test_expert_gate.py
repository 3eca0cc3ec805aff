"""ExpertGate: a softmax gate over experts."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.special import softmax

from mtlkit.layers.expert_gate import ExpertGate
from mtlkit.testing import LayerTestCase

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 5, 2)).astype("float32")
EXPERTS = RNG.normal(size=(4, 3, 2, 6)).astype("float32")
KERNEL, BIAS = RNG.normal(size=(2, 4)), RNG.normal(size=4)


def make(order=(0, 1, 2, 3), **kwargs):
    gate = ExpertGate("channels_last", **kwargs)
    gate.build([X.shape, *(EXPERTS[0].shape for _ in order)])
    gate.projection.set_weights([KERNEL[:, list(order)], BIAS[list(order)]])
    return gate


def mixed(gate, experts, x=X):
    return ops.convert_to_numpy(gate([x, *experts]))


class TestContract(LayerTestCase):
    def test_maps(self):
        self.run_layer_test(
            ExpertGate,
            {"data_format": "channels_first"},
            [X, *RNG.normal(size=(2, 3, 2, 2, 3)).astype("float32")],
            expected_output_shape=(3, 2, 2, 3),
        )

    def test_vectors(self):
        inputs = [X[:, 0, 0], *RNG.normal(size=(3, 3, 4)).astype("float32")]
        self.check_batch_sizes(ExpertGate, {}, inputs)
        self.check_symbolic_call(ExpertGate, {}, inputs, expected_output_shape=(3, 4))
        self.check_gradients(ExpertGate, {}, inputs)


def test_formula():
    share = softmax(X.astype("float64").mean(axis=(1, 2)) @ KERNEL + BIAS, axis=1)
    expected = np.einsum("bk,kbij->bij", share, EXPERTS)
    np.testing.assert_allclose(mixed(make(), EXPERTS), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        ops.convert_to_numpy(make().probabilities(X)), share, rtol=1e-4, atol=1e-6
    )


@given(scale=st.sampled_from([0.0, 1.0, 1e3, 1e6]))
def test_shares_sum_to_one(scale):
    shares = ops.convert_to_numpy(make().probabilities(X * np.float32(scale)))
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)


def test_mixture_of_equal_experts_is_the_expert():
    np.testing.assert_allclose(mixed(make(), EXPERTS[[1] * 4]), EXPERTS[1], rtol=1e-4, atol=1e-6)


@given(order=st.permutations(range(4)))
def test_order_of_the_experts_does_not_matter(order):
    found = mixed(make(order), EXPERTS[list(order)])
    np.testing.assert_allclose(found, mixed(make(), EXPERTS), rtol=1e-4, atol=1e-5)


def test_channels_first():
    gate = ExpertGate("channels_first")
    x = np.moveaxis(X, -1, 1)
    gate.build([x.shape, *(e.shape for e in EXPERTS)])
    gate.projection.set_weights([KERNEL, BIAS])
    np.testing.assert_allclose(mixed(gate, EXPERTS, x), mixed(make(), EXPERTS), atol=1e-5)


@pytest.mark.parametrize(
    "shapes", [[(2, 3), (2, 4)], [(2, 3), (2, 4), (2, 5)], [(2,), (2, 4), (2, 4)], (2, 3)], ids=str
)
def test_bad_shapes(shapes):
    with pytest.raises(ValueError, match=r"Expected \[x, expert_1, \.\.\.\].*Received: input_sh"):
        ExpertGate().build(shapes)


def test_gates_of_a_plain_model():
    x = keras.Input((4,))
    experts = [keras.layers.Dense(3)(x) for _ in range(2)]
    model = keras.Model(x, [ExpertGate(name=task)([x, *experts]) for task in "ab"])
    assert [y.shape for y in model.predict(np.ones((5, 4)), verbose=0)] == [(5, 3)] * 2
