"""AttentionPooling: learned queries over positions."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.special import softmax

from mtlkit.layers import AttentionPooling
from mtlkit.testing import LayerTestCase

X = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")


def make(x=X, seed=0, **kwargs):
    """A layer built for x, with random weights; and the weights."""
    layer = AttentionPooling(**{"num_queries": 2, "key_dim": 3, **kwargs})
    layer.build((None, *x.shape[1:]))
    rng = np.random.default_rng(seed)
    weights = {w.name: rng.normal(size=tuple(w.shape)).astype("float32") for w in layer.weights}
    for weight in layer.weights:
        weight.assign(weights[weight.name])
    return layer, weights


def reference(x, weights):
    """Query by query, in float64."""
    keys = x.astype("float64") @ weights["key_kernel"] + weights.get("position", 0)
    pooled = []
    for query in weights["queries"].astype("float64"):
        share = softmax(keys @ query / np.sqrt(len(query)), axis=1)
        pooled.append((share[:, :, None] * x).sum(axis=1))
    return np.concatenate(pooled, axis=1)


class TestContract(LayerTestCase):
    @pytest.mark.parametrize("use_position", [True, False])
    def test_layer(self, use_position):
        self.run_layer_test(
            AttentionPooling,
            {"num_queries": 3, "key_dim": 5, "use_position": use_position},
            X,
            expected_output_shape=(3, 12),
        )


@pytest.mark.filterwarnings("ignore:You are using a softmax")  # over a single position
@pytest.mark.parametrize("use_position", [True, False])
@given(
    # Of few shapes: JAX compiles for each.
    sizes=st.sampled_from([((3, 6, 4), 2, 3), ((1, 1, 1), 1, 1), ((2, 7, 3), 4, 5)]),
    seed=st.integers(0, 99),
)
def test_reference(use_position, sizes, seed):
    shape, num_queries, key_dim = sizes
    x = np.random.default_rng(seed).normal(size=shape).astype("float32")
    layer, weights = make(
        x, seed, num_queries=num_queries, key_dim=key_dim, use_position=use_position
    )
    assert ("position" in weights) == use_position
    found = ops.convert_to_numpy(layer(x))
    assert found.shape == (shape[0], num_queries * shape[2])
    np.testing.assert_allclose(found, reference(x, weights), rtol=1e-4, atol=1e-5)


def test_zero_queries_give_the_mean():
    layer, _ = make()
    layer.queries.assign(np.zeros((2, 3)))
    expected = np.tile(X.mean(axis=1), 2)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(X)), expected, rtol=1e-5, atol=1e-6)


def test_a_sure_query_picks_one_position():
    """Keys are the channels themselves; the query looks for a large first channel."""
    layer, _ = make(key_dim=4, num_queries=1, use_position=False)
    layer.key_kernel.assign(np.eye(4))
    layer.queries.assign([[1000.0, 0, 0, 0]])
    expected = X[np.arange(3), X[:, :, 0].argmax(axis=1)]
    np.testing.assert_allclose(ops.convert_to_numpy(layer(X)), expected, rtol=1e-5)


def test_large_scores_are_finite():
    layer, _ = make()
    assert np.isfinite(ops.convert_to_numpy(layer(X * 1e6))).all()


@given(order=st.permutations(range(6)))
def test_order_matters_with_positions_only(order):
    without, _ = make(use_position=False)
    one, two = (ops.convert_to_numpy(without(x)) for x in (X, X[:, order]))
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    within, _ = make()
    one, two = (ops.convert_to_numpy(within(x)) for x in (X, X[:, order]))
    assert np.allclose(one, two, atol=1e-4) == (list(order) == list(range(6)))


@pytest.mark.parametrize("argument", ["num_queries", "key_dim"])
def test_counts_are_positive(argument):
    with pytest.raises(ValueError, match=rf"Expected {argument} >= 1. Received: {argument}=0"):
        AttentionPooling(**{argument: 0})


def test_unknown_positions():
    with pytest.raises(ValueError, match=r"known number of positions .*\(None, None, 4\)"):
        AttentionPooling()(keras.Input((None, 4)))


def test_maps_are_not_sequences():
    with pytest.raises(ValueError, match="expected ndim=3, found ndim=4"):
        AttentionPooling()(np.zeros((1, 2, 2, 3)))
