"""Eigenvalues of matrices that may be singular."""

from __future__ import annotations

from typing import Any

from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry, epsilon, inverse, times


def spectrum(geometry: Geometry) -> tuple[Any, Any]:
    """Eigenvalues of the cosines, 0 where they are rounding, and eigenvectors."""
    values, vectors = ops.eigh(geometry.cosines)
    kept = values > 8 * geometry.num_tasks * epsilon(geometry.dtype)
    return ops.where(kept, values, ops.zeros_like(values)), vectors


def equal_projections(geometry: Geometry) -> Any:
    """Weights of unit rows whose sum has a product of 1 with each of them.

    Where there is no such sum, they are those with the least squared errors, and of several the
    least weights.
    """
    values, vectors = spectrum(geometry)
    along = times(ops.transpose(vectors), geometry.present)
    return geometry.present * times(vectors, inverse(values) * along)
