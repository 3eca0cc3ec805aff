"""What an aggregator sees of the gradients: their lengths, and the angles between them."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops


class Geometry(NamedTuple):
    """Lengths and cosines of the rows of a Jacobian.

    A row of zeros has a length of 0 and is orthogonal to all others, with a cosine of 1 to
    itself: a matrix of cosines is never singular because of it. Where a number is not finite,
    all rows are orthogonal and of length 1, so that solvers find something to solve.
    """

    cosines: Any  # (tasks, tasks)
    norms: Any  # (tasks,)
    present: Any  # (tasks,), 1 where a row is not zero
    finite: Any  # a boolean

    @property
    def num_tasks(self) -> int:
        return int(self.norms.shape[0])

    @property
    def dtype(self) -> str:
        return str(keras.backend.standardize_dtype(self.norms.dtype))

    @property
    def count(self) -> Any:
        """How many rows are not zero, at least 1."""
        return at_least(ops.sum(self.present), 1.0)

    @property
    def longest(self) -> Any:
        """The largest length, or 1 where all are 0."""
        largest = ops.max(self.norms)
        return ops.where(largest > 0, largest, ops.ones_like(largest))

    @property
    def shortest(self) -> Any:
        """The smallest length of a row that is not zero."""
        return ops.min(ops.where(self.present > 0, self.norms, self.longest))


def of_gradients(gradients: Any) -> Geometry:
    """The geometry of a matrix (tasks, parameters), whatever the scale of each of its rows."""
    largest = ops.max(ops.abs(gradients), axis=1, keepdims=True)
    rows = gradients / ops.where(largest > 0, largest, ops.ones_like(largest))
    gramian = rows @ ops.transpose(rows)
    return _geometry(gramian, largest[:, 0])


def of_gramian(gramian: Any) -> Geometry:
    """The geometry of rows whose products with each other are given."""
    return _geometry(gramian, ops.ones_like(gramian[0]))


def times(matrix: Any, vector: Any) -> Any:
    """A matrix times a vector.

    Like all products here it is not `ops.matmul`, which makes float64 float32 on PyTorch.
    """
    return (matrix @ vector[:, None])[:, 0]


def length_of(weights: Any, products: Any) -> Any:
    """The length of a weighted sum of rows with these products with each other."""
    return ops.sqrt(at_least(ops.sum(weights[:, None] * products * weights[None, :]), 0.0))


def at_least(values: Any, least: float) -> Any:
    """The larger one of each value and a number; of the type of the values on each backend."""
    return ops.where(values < least, least, values)


def inverse(lengths: Any) -> Any:
    """Inverses of numbers, 0 where they are 0."""
    there = lengths > 0
    return ops.where(there, 1.0 / ops.where(there, lengths, ops.ones_like(lengths)), 0.0)


def epsilon(dtype: str) -> float:
    """The distance from 1 to the next number."""
    return 2.0**-52 if dtype == "float64" else 2.0**-23


def _geometry(gramian: Any, scales: Any) -> Geometry:
    """The geometry of rows that were divided by `scales` before they were multiplied."""
    num_tasks = int(gramian.shape[0])
    lengths = ops.sqrt(at_least(ops.diagonal(gramian), 0.0))
    norms = lengths * scales
    inverses = inverse(lengths)
    cosines = gramian * inverses[:, None] * inverses[None, :]
    finite = ops.logical_and(ops.all(ops.isfinite(norms)), ops.all(ops.isfinite(gramian)))
    identity = ops.eye(num_tasks, dtype=gramian.dtype)
    cosines = ops.where(ops.logical_and(finite, identity == 0), cosines, identity)
    norms = ops.where(finite, norms, ops.ones_like(norms))
    present = ops.cast(norms > 0, norms.dtype)
    return Geometry(ops.clip(cosines, -1.0, 1.0), norms, present, finite)
