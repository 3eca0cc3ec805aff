"""Lengths and cosines of gradients, from their inner products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def norms_of(gramian: NDArray) -> NDArray[np.float64]:
    """The lengths of vectors, from their inner products of shape `(vectors, vectors)`."""
    return np.sqrt(np.maximum(np.diag(gramian), 0.0))


def cosines_of(gramian: NDArray) -> NDArray[np.float64]:
    """The cosines between vectors, `(vectors, vectors)`; NaN where one has no length."""
    norms = norms_of(gramian)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(gramian / norms[:, None] / norms[None, :], -1.0, 1.0)
