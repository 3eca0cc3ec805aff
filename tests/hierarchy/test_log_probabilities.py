"""Probabilities of classes and groups: consistent, in log space, on trees of any shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from trees import (
    FLAT,
    RANDOM_TREES,
    TREES,
    TWO_LEVELS,
    probabilities_by_sums,
    probabilities_of_nodes,
    random_tree,
)

from mtlkit.hierarchy import Hierarchy
from mtlkit.hierarchy._log_probabilities import (
    conditional_log_probabilities,
    decided_nodes,
    leaf_log_probabilities,
    node_log_probabilities,
)
from mtlkit.testing import input_gradients

RNG = np.random.default_rng(0)
KINDS = {"nodes": probabilities_of_nodes, "classes": probabilities_by_sums}


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


def draw_logits(tree, kind, rng, spread=3.0):
    width = tree.num_nodes if kind == "nodes" else tree.num_leaves
    return rng.normal(0, spread, size=(3, width)).astype("float32")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=RANDOM_TREES)
@given(seed=st.integers(0, 10**6), spread=st.sampled_from([0.1, 3.0, 30.0]))
def test_sums(kind, seed, spread):
    """Classes sum to one, and parents are the sums of their children."""
    tree = random_tree(seed, depth=5)
    logits = draw_logits(tree, kind, np.random.default_rng(seed), spread)
    nodes = np.exp(numbers(node_log_probabilities(tree, logits)))
    leaves = np.exp(numbers(leaf_log_probabilities(tree, logits)))
    assert nodes.dtype == "float32"
    np.testing.assert_allclose(leaves.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(leaves, nodes[:, : tree.num_leaves], atol=1e-5)
    for parent, children in tree.children.items():
        whole = 1 if parent < 0 else nodes[:, parent]
        np.testing.assert_allclose(nodes[:, list(children)].sum(axis=1), whole, atol=1e-5)
    expected = [KINDS[kind](tree, row) for row in logits]
    np.testing.assert_allclose(nodes, expected, atol=1e-5)


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_conditionals(tree):
    logits = draw_logits(tree, "nodes", RNG)
    found = numbers(conditional_log_probabilities(tree, logits))
    for row, got in zip(logits, found, strict=True):
        p = probabilities_of_nodes(tree, row)
        above = np.array([1 if q < 0 else p[q] for q in tree.parents])
        np.testing.assert_allclose(got, np.log(p / above), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_logits(kind):
    """Large numbers, equal or not, overflow nothing and keep their digits."""
    width = 7 if kind == "nodes" else 5
    for logits in (np.full((1, width), 7e4), np.linspace(-1e5, 1e5, width)[None]):
        found = numbers(node_log_probabilities(TWO_LEVELS, logits))
        assert np.isfinite(found).all()
        assert np.exp(found[0, 5:]).sum() == pytest.approx(1, abs=1e-6)
    steps = np.arange(width)[None] * 0.25
    large, small = (numbers(node_log_probabilities(TWO_LEVELS, steps + s)) for s in (2.0**16, 0))
    np.testing.assert_allclose(large, small, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite(kind):
    logits = draw_logits(TREES["uneven"], kind, RNG, spread=100.0)
    found = input_gradients(lambda x: ops.sum(node_log_probabilities(TREES["uneven"], x)), logits)
    assert np.isfinite(found).all() and np.any(found)


def test_without_groups_both_are_the_softmax():
    logits = draw_logits(FLAT, "nodes", RNG)
    np.testing.assert_allclose(
        numbers(node_log_probabilities(FLAT, logits)),
        numbers(conditional_log_probabilities(FLAT, logits)),
        atol=1e-6,
    )


def test_other_widths_are_refused():
    with pytest.raises(ValueError, match=r"5 logits.*or 7.*\(2, 6\)"):
        node_log_probabilities(TWO_LEVELS, np.zeros((2, 6)))


class TestDecisions:
    @pytest.mark.parametrize("kind", KINDS)
    @settings(max_examples=RANDOM_TREES)
    @given(seed=st.integers(0, 1000))
    def test_likeliest(self, kind, seed):
        tree = random_tree(seed, depth=3)
        logits = draw_logits(tree, kind, np.random.default_rng(seed))
        for level in range(1, tree.depth + 1):
            nodes = sorted(set(tree.level(level).tolist()))
            expected = [nodes[np.argmax(KINDS[kind](tree, row)[nodes])] for row in logits]
            assert numbers(decided_nodes(tree, logits, level)).tolist() == expected

    @settings(max_examples=RANDOM_TREES)
    @given(seed=st.integers(0, 1000))
    def test_least_cost(self, seed):
        rng = np.random.default_rng(seed)
        tree = random_tree(seed, depth=3)
        logits = draw_logits(tree, "classes", rng)
        costs = rng.random((tree.num_leaves, tree.num_leaves))
        leaves = [int(np.argmin(costs @ probabilities_by_sums(tree, row)[: len(costs)]))
                  for row in logits]  # fmt: skip
        for level in range(1, tree.depth + 1):
            found = numbers(decided_nodes(tree, logits, level, "least_cost", costs))
            assert found.tolist() == tree.level(level)[leaves].tolist()

    def test_costs_of_zero_and_one_choose_the_likeliest(self):
        logits = draw_logits(TWO_LEVELS, "classes", RNG)
        found = decided_nodes(TWO_LEVELS, logits, 2, "least_cost", 1 - np.eye(5))
        assert numbers(found).tolist() == logits.argmax(axis=1).tolist()

    def test_circular_costs_choose_the_median(self):
        """Of 0.4 on one bin, and 0.3 on two neighbours across: the mass, not the mode."""
        tree = Hierarchy.circular(8, 2)
        p = np.array([0.4, 0, 0, 0.3, 0.3, 0, 0, 0]) + 1e-9
        costs = tree.distances("circular")
        likeliest = decided_nodes(tree, np.log(p)[None], 2, "likeliest", costs)
        cheapest = decided_nodes(tree, np.log(p)[None], 2, "least_cost", costs)
        assert [int(numbers(one)[0]) for one in (likeliest, cheapest)] == [0, 3]
