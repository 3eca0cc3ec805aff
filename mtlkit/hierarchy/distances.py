"""Distances between the classes of a hierarchy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mtlkit.hierarchy.arrays import frozen

if TYPE_CHECKING:
    from mtlkit.hierarchy.tree import Hierarchy

#: Distances between classes that a hierarchy knows by name.
DISTANCES = ("tree", "circular")


def tree_distances(hierarchy: Hierarchy) -> np.ndarray:
    """Returns the height of the lowest common ancestor of each pair of classes.

    Args:
        hierarchy: The hierarchy.

    Returns:
        A symmetric matrix of shape `(K, K)`, float64, which cannot be written to.

    Example:
        ```python
        from mtlkit.hierarchy import Hierarchy
        from mtlkit.hierarchy.distances import tree_distances

        hierarchy = Hierarchy.from_groups({"animal": ["cat", "dog"], "stone": None})
        assert tree_distances(hierarchy).tolist() == [[0, 1, 2], [1, 0, 2], [2, 2, 0]]
        ```
    """
    leaves = hierarchy.num_leaves
    distances = np.full((leaves, leaves), float(hierarchy.depth))
    for node in np.argsort(-hierarchy.heights, kind="stable"):  # lower ancestors come later
        below = np.flatnonzero(hierarchy.ancestors[node])
        distances[np.ix_(below, below)] = hierarchy.heights[node]
    return frozen(distances)


def checked_distances(matrix: ArrayLike, num_leaves: int) -> np.ndarray:
    """Returns a user's matrix as float64; raises a ValueError if it holds no distances.

    Args:
        matrix: Distances of shape `(K, K)`: symmetric, finite, >= 0, zero on the diagonal.
        num_leaves: Number of classes, `K`.

    Returns:
        The matrix.

    Raises:
        ValueError: If it is none, or all of it is zero.

    Example:
        ```python
        from mtlkit.hierarchy.distances import checked_distances

        assert checked_distances([[0, 1], [1, 0]], num_leaves=2).dtype == "float64"
        ```
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
