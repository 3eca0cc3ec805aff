"""Shapes of features and conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

Shape = tuple[int | None, ...]


def check_shapes(input_shape: Sequence[Any]) -> tuple[Shape, Shape]:
    """Returns the shapes of `[features, condition]`, checked.

    Args:
        input_shape: The two shapes.

    Returns:
        The shape of the features, `(batch, ..., channels)`, and of the condition, `(batch, n)`.
    """
    shapes = [tuple(s) if isinstance(s, list | tuple) else () for s in input_shape]
    if len(shapes) != 2 or len(shapes[0]) < 2 or shapes[0][-1] is None:
        raise ValueError(
            "Expected [features, condition], with features of shape (batch, ..., channels) and "
            f"a known number of channels. Received: input_shape={input_shape}"
        )
    check_condition(shapes[1])
    return shapes[0], shapes[1]


def check_condition(shape: Shape) -> None:
    """Raises a ValueError unless the shape is `(batch, n)`, with a known `n`."""
    if len(shape) != 2 or shape[1] is None:
        raise ValueError(
            "Expected a condition of shape (batch, n), such as probabilities, with a known n. "
            f"Received: a condition of shape {shape}"
        )


def over_positions(vectors: Any, rank: int) -> Any:
    """Gives vectors of shape `(batch, c)` axes of size 1 in the middle, `rank` axes in all."""
    return ops.expand_dims(vectors, tuple(range(1, rank - 1))) if rank > 2 else vectors
