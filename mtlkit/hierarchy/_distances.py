"""Distances between the classes of a hierarchy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtlkit.hierarchy._arrays import frozen

#: Distances between classes that a hierarchy knows by name.
DISTANCES = ("tree", "circular")


def tree_distances(ancestors: np.ndarray, heights: np.ndarray, depth: int) -> np.ndarray:
    """Returns the height of the lowest common ancestor of each pair of classes.

    Args:
        ancestors: Whether each node is above each class, or the class itself, `(N, K)`.
        heights: Edges between each node and its deepest class, `(N,)`.
        depth: Edges between the root and its deepest class.

    Returns:
        A symmetric matrix of shape `(K, K)`, float64, which cannot be written to.
    """
    leaves = ancestors.shape[1]
    distances = np.full((leaves, leaves), float(depth))
    for node in np.argsort(-heights, kind="stable"):  # lower ancestors come later
        below = np.flatnonzero(ancestors[node])
        distances[np.ix_(below, below)] = heights[node]
    return frozen(distances)


def checked_distances(matrix: ArrayLike, num_leaves: int) -> np.ndarray:
    """Returns a user's matrix as float64; raises a ValueError if it holds no distances.

    Args:
        matrix: Distances of shape `(K, K)`: symmetric, finite, >= 0, zero on the diagonal.
        num_leaves: Number of classes, `K`.
    """
    distances = np.asarray(matrix, "float64")
    if (
        distances.shape != (num_leaves, num_leaves)
        or not np.all(np.isfinite(distances))
        or distances.min() < 0
        or distances.diagonal().any()
        or not np.allclose(distances, distances.T)
        or not distances.any()
    ):
        raise ValueError(
            "Expected distances as a symmetric matrix of finite numbers >= 0, zero on the "
            f"diagonal only, of shape {(num_leaves, num_leaves)}. "
            f"Received: shape {distances.shape}, {distances.tolist()!r:.200}"
        )
    return distances
