"""Trees for tests, and the plainest possible maths on them."""

from __future__ import annotations

import keras
import numpy as np

from mtlkit.hierarchy import Hierarchy

#: Two groups of classes: x (5) with 0, 1, 2, and y (6) with 3, 4.
TWO_LEVELS = Hierarchy.from_groups({"x": [0, 1, 2], "y": [3, 4]})

#: Classes at three depths: 5 below the root; a (6) has 0, 1; b (7) has 4 and c (8), c has 2, 3.
UNEVEN = Hierarchy([6, 6, 8, 8, 7, -1, -1, -1, 7], list("stuvwzabc"))

#: No groups.
FLAT = Hierarchy([-1] * 5)

#: How many random trees a test tries; on JAX each has to be compiled for.
RANDOM_TREES = 3 if keras.backend.backend() == "jax" else 8

TREES = {"two-levels": TWO_LEVELS, "uneven": UNEVEN, "flat": FLAT}


def random_tree(seed: int, depth: int = 5) -> Hierarchy:
    """Returns a random tree of at most this depth, with shuffled classes."""
    rng = np.random.default_rng(seed)
    count = 0

    def grow(level: int) -> list:
        nonlocal count
        content: list = []
        for _ in range(rng.integers(2, 4)):
            if level < depth and rng.random() < 0.55:
                content.append({f"g{level}-{rng.integers(10**9)}": grow(level + 1)})
            else:
                content.append(f"class {count}")
                count += 1
        return content

    top = grow(1)
    names = [f"class {number}" for number in rng.permutation(count)]
    groups: dict = {}
    for item in top:
        groups |= item if isinstance(item, dict) else {item: None}
    return Hierarchy.from_groups(groups, class_names=names)


def path_to(tree: Hierarchy, node: int) -> list[int]:
    """The nodes from the first level down to the node."""
    path = [node]
    while tree.parents[path[0]] >= 0:
        path.insert(0, tree.parents[path[0]])
    return path


def leaves_below(tree: Hierarchy, node: int) -> list[int]:
    """The classes below a node, or the node itself."""
    return [leaf for leaf in range(tree.num_leaves) if node in path_to(tree, leaf)]


def softmax(logits):
    e = np.exp(logits - np.max(logits))
    return e / e.sum()


def probabilities_of_nodes(tree: Hierarchy, logits) -> np.ndarray:
    """P(node) for one sample with a logit for each node: the product of sibling softmaxes."""
    logits = np.asarray(logits, "float64")
    conditional = np.zeros(tree.num_nodes)
    for parent in set(tree.parents):
        siblings = [n for n in range(tree.num_nodes) if tree.parents[n] == parent]
        conditional[siblings] = softmax(logits[siblings])
    return np.array([conditional[path_to(tree, n)].prod() for n in range(tree.num_nodes)])


def probabilities_by_sums(tree: Hierarchy, logits) -> np.ndarray:
    """P(node) for one sample with a logit for each class: the sums of one softmax."""
    p = softmax(np.asarray(logits, "float64"))
    return np.array([p[leaves_below(tree, n)].sum() for n in range(tree.num_nodes)])


def common_ancestor_heights(tree: Hierarchy) -> np.ndarray:
    """The height of the lowest common ancestor of all pairs of classes."""
    depth = max(len(path_to(tree, leaf)) for leaf in range(tree.num_leaves))

    def height(i: int, j: int) -> int:
        if i == j:
            return 0
        common = [n for n in path_to(tree, i) if n in path_to(tree, j)]
        if not common:
            return depth
        deepest = max(len(path_to(tree, leaf)) for leaf in leaves_below(tree, common[-1]))
        return deepest - len(path_to(tree, common[-1]))

    leaves = range(tree.num_leaves)
    return np.array([[height(i, j) for j in leaves] for i in leaves], "float64")
