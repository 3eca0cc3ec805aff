"""Quadratic problems over numbers that are not negative: the one solver of several methods.

Block principal pivoting (Portugal, Judice and Vicente, "A comparison of block pivoting and
interior-point algorithms for linear least squares problems with nonnegative variables", 1994): a
guess of which variables are positive is mended in many places at once, as long as that helps, and
else in one place. It ends at the exact solution, after three to six systems of equations as a rule,
whatever the number of variables.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import at_least, epsilon

#: So often the whole guess is mended although it does not get better, before it is in one place.
_CHANCES = 3


def nonnegative_minimum(matrix: Any, linear: Any) -> Any:
    """Minimises `u @ matrix @ u / 2 - linear @ u` over `u >= 0`, for each row of `linear`.

    `matrix` (tasks, tasks) is positive semi-definite with a diagonal of about 1; `linear` and what
    is returned are of shape (problems, tasks).
    """
    ridged = matrix + ridge(matrix)
    found, passive = pivoted(ridged, linear)
    # The ridge makes what is found a bit too short: one step against what is left of the problem.
    added = _solved(ridged, linear - (found @ matrix), passive)
    # Where rows cancel out, that may go far along what changes nothing, but not below 0.
    reach = ops.where(found + added < 0, found / ops.where(added < 0, -added, 1.0), 1.0)
    return at_least(found + ops.min(reach, axis=-1, keepdims=True) * added, 0.0)


def ridge(matrix: Any) -> Any:
    """A small multiple of the identity, which makes semi-definite matrices definite."""
    dtype = keras.backend.standardize_dtype(matrix.dtype)
    size = 1e-11 if dtype == "float64" else 16 * epsilon(dtype)
    return size * ops.eye(int(matrix.shape[0]), dtype=dtype)


def pivoted(matrix: Any, linear: Any) -> tuple[Any, Any]:
    """The same for a definite matrix; returns which variables are free, too, as ones."""
    problems, tasks = (int(size) for size in linear.shape)
    dtype = linear.dtype
    tolerance = 16 * epsilon(keras.backend.standardize_dtype(dtype))
    numbers = ops.arange(tasks, dtype=dtype)
    largest = ops.max(ops.abs(linear), axis=-1, keepdims=True)

    def wrongs(found: Any, passive: Any) -> Any:
        """Where a variable that is free is negative, or one that is 0 should grow."""
        size = ops.sum(ops.abs(found), axis=-1, keepdims=True)
        slope = found @ matrix - linear
        wrong = ops.where(passive > 0, found < 0, slope < -tolerance * (size + largest))
        return ops.cast(wrong, dtype)

    def step(
        passive: Any, found: Any, wrong: Any, chances: Any, fewest: Any
    ) -> tuple[Any, Any, Any, Any, Any]:
        count = ops.sum(wrong, axis=-1, keepdims=True)
        better = count < fewest
        chances = ops.where(better, float(_CHANCES), chances - 1.0)
        fewest = ops.where(better, count, fewest)
        last = ops.max(ops.where(wrong > 0, numbers, -1.0), axis=-1, keepdims=True)
        changed = ops.where(chances >= 0, wrong, wrong * ops.cast(numbers == last, dtype))
        passive = ops.abs(passive - changed)
        found = _solved(matrix, linear, passive)
        return passive, found, wrongs(found, passive), chances, fewest

    passive = ops.cast(linear > 0, dtype)
    found = _solved(matrix, linear, passive)
    start = (
        passive,
        found,
        wrongs(found, passive),
        ops.full((problems, 1), float(_CHANCES), dtype=dtype),
        ops.full((problems, 1), tasks + 1.0, dtype=dtype),
    )
    passive, found, *_ = ops.while_loop(
        lambda passive, found, wrong, chances, fewest: ops.any(wrong > 0),
        step,
        start,
        maximum_iterations=20 + 4 * tasks,
    )
    return at_least(found, 0.0), passive


def _solved(matrix: Any, linear: Any, passive: Any) -> Any:
    """Solves `matrix @ u = linear` in the free variables of each problem; others are 0."""
    identity = ops.eye(int(matrix.shape[0]), dtype=matrix.dtype)
    both = passive[:, :, None] * passive[:, None, :]
    masked = both * matrix + (1.0 - passive)[:, :, None] * identity
    return ops.solve(masked, (passive * linear)[:, :, None])[:, :, 0]
