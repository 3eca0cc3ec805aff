"""Hierarchy-aware frames: directions of classes whose cosines follow distances."""

from __future__ import annotations

import numpy as np


def frame_similarity(distances: np.ndarray, gamma: float = 2.0) -> np.ndarray:
    """The cosines that the directions of classes shall have, by their distances.

    `S = (1 - m) exp(-gamma D / max D) + m`, with the most negative `m` that keeps `S`
    positive semi-definite, so that directions are as far apart as they can be. With
    `E = exp(-gamma D / max D)` that is `m = -t / (1 - t)`, `t = 1 / (1^T E^-1 1)`, which the
    authors search for on a grid. All distances equal give the simplex equiangular tight
    frame.

    Args:
        distances: Distances of classes, of shape `(K, K)`.
        gamma: How fast similarity falls with distance; positive.

    Returns:
        The similarity `S` of shape `(K, K)`, 1 on the diagonal.

    Raises:
        ValueError: If `gamma` is not positive, or no directions have such similarities.

    Example:
        ```python
        import numpy as np
        from mtlkit.hierarchy import circular_distances
        from mtlkit.hierarchy.frames import frame_similarity

        similarity = frame_similarity(circular_distances(32), gamma=3.0)
        assert np.linalg.eigvalsh(similarity).min() > -1e-9
        ```

    Reference:
        [Liang and Davis, Inducing Neural Collapse to a Fixed Hierarchy-Aware Frame for
        Reducing Mistake Severity, 2023](https://arxiv.org/abs/2303.05689)
    """
    if not gamma > 0:
        raise ValueError(f"Expected gamma > 0. Received: gamma={gamma}")
    decay = np.exp(-gamma * distances / distances.max())
    if not _is_positive_definite(decay):
        raise ValueError(
            "Expected distances whose similarity exp(-gamma D / max D) is positive definite, as "
            f"of trees and circles, and gamma not too small. Received: gamma={gamma}"
        )
    t = 1 / np.linalg.solve(decay, np.ones(len(decay))).sum()
    lowest = -t / (1 - t)
    return (1 - lowest) * decay + lowest


def _is_positive_definite(matrix: np.ndarray) -> bool:
    try:  # Much faster than eigenvalues.
        pivots = np.linalg.cholesky(matrix).diagonal()
    except np.linalg.LinAlgError:
        return False
    return bool(pivots.min() > 1e-6)


def frame(similarity: np.ndarray) -> np.ndarray:
    """Directions with given cosines: the symmetric `W` with `W W^T = S`.

    Args:
        similarity: The cosines `S`, positive semi-definite, of shape `(K, K)`.

    Returns:
        `W` of shape `(K, K)`; its rows are the directions of the classes.

    Example:
        ```python
        import numpy as np
        from mtlkit.hierarchy.frames import frame

        assert np.allclose(frame(np.eye(3)), np.eye(3))
        ```
    """
    values, vectors = np.linalg.eigh(similarity)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
