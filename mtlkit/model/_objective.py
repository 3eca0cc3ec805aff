"""What a tuner should optimise for a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mtlkit.model.task import Task


def task_objective(
    task: Task, metrics: Sequence[str], metric: str | None = None, direction: str | None = None
) -> Any:
    """Returns the objective of a task, on validation data."""
    import keras_tuner

    known = {"loss": "min"}
    primary, primary_direction = task.head.primary_metric
    if primary in metrics:
        known[primary] = primary_direction
    metric = metric or (primary if primary in metrics else "loss")
    if metric not in ("loss", *metrics):
        raise ValueError(
            f"Task {task.name!r}: expected metric to be one of {['loss', *metrics]}. "
            f"Received: metric={metric!r}"
        )
    direction = direction or known.get(metric)
    if direction not in ("max", "min"):
        raise ValueError(
            f'Task {task.name!r}: expected direction="max" or "min" for the metric {metric!r}. '
            f"Received: direction={direction!r}"
        )
    return keras_tuner.Objective(f"val_{task.name}_{metric}", direction)
