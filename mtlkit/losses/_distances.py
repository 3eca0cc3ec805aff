"""Distances between bins, on a circle or on a line."""

from __future__ import annotations

from typing import Any

from keras import ops


def circular_distance(a: Any, b: Any, period: float) -> Any:
    """The shorter way around a circle, `min(|a - b|, period - |a - b|)` modulo the period.

    Args:
        a: Positions, of any shape.
        b: Positions, of a shape that broadcasts with that of `a`.
        period: Length of the circle, in the unit of the positions.

    Returns:
        Distances in `[0, period / 2]`.

    Example:
        ```python
        from mtlkit.metrics import circular_distance

        assert float(circular_distance(31.0, 1.0, period=32)) == 2.0
        ```
    """
    difference = ops.mod(ops.subtract(a, b), period)
    return ops.minimum(difference, period - difference)


def bin_distance(a: Any, b: Any, num_bins: int, circular: bool = True) -> Any:
    """The distance of positions, in bins, on a circle or on a line.

    Args:
        a: Positions in bins, of any shape.
        b: Positions in bins, of a shape that broadcasts with that of `a`.
        num_bins: Number of bins.
        circular: Whether the last bin is the neighbour of the first.
    """
    return circular_distance(a, b, num_bins) if circular else ops.abs(ops.subtract(a, b))


def label_position(y_true: Any, num_bins: int, label_period: float | None = None) -> Any:
    """Where labels are, in bins.

    Args:
        y_true: Labels of shape `(batch,)` or `(batch, 1)`.
        num_bins: Number of bins.
        label_period: Length of the circle in the unit of the labels, such as 360 for degrees;
            `None` where labels are bins.

    Returns:
        Positions of shape `(batch,)`, float32; not whole where labels fall between bins.
    """
    position = ops.reshape(ops.cast(y_true, "float32"), (-1,))
    if label_period is None:
        return position
    return ops.mod(position * (num_bins / label_period), num_bins)
