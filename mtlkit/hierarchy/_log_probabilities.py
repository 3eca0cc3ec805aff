"""Probabilities of classes and groups from logits, in log space."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from keras import ops

from mtlkit._largest import largest
from mtlkit.hierarchy._arrays import padded
from mtlkit.hierarchy.tree import Hierarchy

#: What a missing value counts in a softmax: nothing, and no NaN in its gradient.
_NOTHING = -1e30

#: How a class is chosen by its probabilities.
DECISIONS = ("likeliest", "least_cost")


def conditional_log_probabilities(hierarchy: Hierarchy, logits: Any) -> Any:
    """The log-probability of each node given its parent: a softmax over each set of siblings.

    Args:
        hierarchy: The hierarchy.
        logits: One for each node, of shape `(batch, N)`.

    Returns:
        A tensor of shape `(batch, N)`, float32.
    """
    families, places = _families(hierarchy)
    logits = ops.cast(logits, "float32")
    # Large logits lose their digits in a sum: the largest of each family goes first.
    largest = ops.max(_members(ops.stop_gradient(logits), families), axis=-1)
    shifted = logits - ops.take(largest, places, axis=1)
    totals = gathered_logsumexp(shifted, families)
    return shifted - ops.take(totals, places, axis=1)


def node_log_probabilities(hierarchy: Hierarchy, outputs: Any) -> Any:
    """The log-probability of each node, from logits of the nodes or of the classes.

    The width of the outputs shows which they are: `N` logits are read as a tree of
    softmaxes, each over siblings; `K` logits as one softmax over the classes, whose sums
    are the probabilities of the groups. In either case those of classes sum to 1, and
    that of a group is the sum of its children's. Without groups both are the same.

    Args:
        hierarchy: The hierarchy.
        outputs: Logits of shape `(batch, N)` or `(batch, K)`.

    Returns:
        A tensor of shape `(batch, N)`, float32.
    """
    if _are_of_classes(hierarchy, outputs):
        logits = ops.cast(outputs, "float32")
        logits = logits - ops.max(ops.stop_gradient(logits), axis=-1, keepdims=True)
        totals = _subtree_logsumexp(hierarchy, logits)
        return totals[:, :-1] - totals[:, -1:]
    return _along_paths(hierarchy, outputs, hierarchy.paths)


def leaf_log_probabilities(hierarchy: Hierarchy, outputs: Any) -> Any:
    """The log-probability of each class, from logits as `node_log_probabilities` takes them.

    Args:
        hierarchy: The hierarchy.
        outputs: Logits of shape `(batch, N)` or `(batch, K)`.

    Returns:
        A tensor of shape `(batch, K)`, float32.
    """
    if _are_of_classes(hierarchy, outputs):
        return ops.log_softmax(ops.cast(outputs, "float32"), axis=-1)
    return _along_paths(hierarchy, outputs, hierarchy.paths[: hierarchy.num_leaves])


def decided_nodes(
    hierarchy: Hierarchy,
    outputs: Any,
    level: int,
    decision: str = "likeliest",
    costs: np.ndarray | None = None,
) -> Any:
    """The node that outputs decide for, at a level.

    Args:
        hierarchy: The hierarchy.
        outputs: Logits of shape `(batch, N)` or `(batch, K)`.
        level: 1, the coarsest, to `hierarchy.depth`, that of the classes.
        decision: `"likeliest"`: the node of the level with the highest probability.
            `"least_cost"`: the node over the class `k` with the least expected cost,
            `sum_j costs[k, j] p_j`.
        costs: The cost of deciding for class `k` where `j` is true, of shape `(K, K)`.
            `None`: distances in the tree.

    Returns:
        Numbers of nodes, int32, of shape `(batch,)`.
    Reference:
        [Karthik et al., No Cost Likelihood Manipulation at Test Time for Making Better
        Mistakes in Deep Networks, 2021](https://arxiv.org/abs/2104.00795)
    """
    if decision == "least_cost":
        costs = hierarchy.distances() if costs is None else costs
        probability = ops.exp(leaf_log_probabilities(hierarchy, outputs))
        expected = ops.matmul(probability, costs.T.astype("float32"))
        return ops.take(hierarchy.level(level), largest(-expected), axis=0)
    nodes = hierarchy.level_nodes(level)
    if level == hierarchy.depth:
        scores = leaf_log_probabilities(hierarchy, outputs)
    else:
        scores = ops.take(node_log_probabilities(hierarchy, outputs), nodes, axis=1)
    return ops.take(nodes, largest(scores), axis=0)


def gathered_logsumexp(values: Any, table: np.ndarray) -> Any:
    """The logarithm of sums of exponentials over several sets of columns.

    Args:
        values: A tensor of shape `(batch, columns)`.
        table: The columns of each set, one set a row, then -1; of shape `(sets, size)`.

    Returns:
        A tensor of shape `(batch, sets)`.
    """
    return ops.logsumexp(_members(values, table), axis=-1)


def _members(values: Any, table: np.ndarray) -> Any:
    there = table >= 0
    members = ops.take(values, np.where(there, table, 0), axis=1)
    return ops.where(there, members, ops.cast(_NOTHING, members.dtype))


def _are_of_classes(hierarchy: Hierarchy, outputs: Any) -> bool:
    width = outputs.shape[-1]
    if width not in (hierarchy.num_leaves, hierarchy.num_nodes):
        raise ValueError(
            f"Expected {hierarchy.num_leaves} logits, of the classes, or {hierarchy.num_nodes}, of "
            f"all nodes of the hierarchy. Received: shape {tuple(outputs.shape)}"
        )
    return bool(width == hierarchy.num_leaves)


def _along_paths(hierarchy: Hierarchy, logits: Any, paths: np.ndarray) -> Any:
    conditional = conditional_log_probabilities(hierarchy, logits)
    there = paths >= 0
    steps = ops.take(conditional, np.where(there, paths, 0), axis=1)
    return ops.sum(ops.where(there, steps, ops.zeros_like(steps)), axis=-1)


@lru_cache(maxsize=64)
def _families(hierarchy: Hierarchy) -> tuple[np.ndarray, np.ndarray]:
    """All sets of siblings, and in which of them each node is."""
    families = list(hierarchy.children.values())
    places = np.zeros(hierarchy.num_nodes, "int32")
    for place, family in enumerate(families):
        places[list(family)] = place
    return padded(families, fill=-1), places


def _subtree_logsumexp(hierarchy: Hierarchy, logits: Any) -> Any:
    """That of the classes under each node, and at last of all classes; `(batch, N + 1)`."""
    tables, order = _upward(hierarchy)
    values = logits
    for table in tables:
        values = ops.concatenate([values, gathered_logsumexp(values, table)], axis=1)
    return ops.take(values, order, axis=1)


@lru_cache(maxsize=64)
def _upward(hierarchy: Hierarchy) -> tuple[list[np.ndarray], np.ndarray]:
    """Which columns to sum for the groups of each height, and where each node is then."""
    column = {leaf: leaf for leaf in range(hierarchy.num_leaves)}
    heights = {-1: hierarchy.depth}
    heights |= {n: int(hierarchy.heights[n]) for n in range(len(column), hierarchy.num_nodes)}
    tables = []
    for height in range(1, hierarchy.depth + 1):
        groups = [group for group, own in heights.items() if own == height]
        families = [[column[child] for child in hierarchy.children[group]] for group in groups]
        tables.append(padded(families, fill=-1))
        column |= {group: len(column) + place for place, group in enumerate(groups)}
    nodes = [*range(hierarchy.num_nodes), -1]
    return tables, np.array([column[node] for node in nodes], "int32")
