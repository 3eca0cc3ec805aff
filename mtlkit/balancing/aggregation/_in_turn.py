"""Gradients that are changed against the others one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry, times


def in_turn(
    geometry: Geometry,
    noise: Any,
    step: Callable[[Any, Any, Any, Any], tuple[Any, Any]],
    kept: Any,
) -> tuple[Any, Any]:
    """The sum of all gradients after each has met the others, in an order that is drawn.

    Args:
        geometry: The gradients.
        noise: A matrix (tasks, tasks); its row i orders the tasks that gradient i meets.
        step: From the gradients (tasks, tasks), each as weights of unit rows; the task that each
            meets, as a one; whether it takes part and is another one, of shape (tasks,); and what
            was kept, to what each adds of the unit row that it meets, and what is kept.
        kept: What `step` is given first.

    Returns:
        The weights of unit rows of the sum, and what is kept.
    """
    if noise is None:
        raise ValueError("Expected noise of shape (tasks, tasks). Received: None")
    identity = ops.eye(geometry.num_tasks, dtype=geometry.dtype)
    scaled = identity * (geometry.norms / geometry.longest)
    order = ops.one_hot(ops.argsort(noise, axis=1), geometry.num_tasks, dtype=geometry.dtype)
    for place in range(geometry.num_tasks):
        met = order[:, place]
        other = geometry.present * times(met * (1 - identity), geometry.present)
        added, kept = step(scaled, met, other, kept)
        scaled = scaled + (other * added)[:, None] * met
    return ops.sum(scaled, axis=0) * geometry.longest, kept
