"""What a tuner should optimise for a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtlkit.model.task import Task


def task_objective(
    task: Task,
    metrics: Mapping[str, str | None],
    metric: str | None = None,
    direction: str | None = None,
) -> Any:
    """Returns the objective of a task, on validation data.

    Args:
        task: The task.
        metrics: Its metrics in their order, each with the way in which it improves, if known.
        metric: The metric that is asked for.
        direction: The way in which that improves.
    """
    import keras_tuner

    primary, _ = task.head.primary_metric
    known = [name for name, way in metrics.items() if way is not None]
    metric = metric or (primary if primary in metrics else (*known, "loss")[0])
    if metric not in ("loss", *metrics):
        raise ValueError(
            f"Task {task.name!r}: expected metric to be one of {['loss', *metrics]}. "
            f"Received: metric={metric!r}"
        )
    direction = direction or {"loss": "min", **metrics}[metric]
    if direction not in ("max", "min"):
        raise ValueError(
            f'Task {task.name!r}: expected direction="max" or "min" for the metric {metric!r}. '
            f"Received: direction={direction!r}"
        )
    return keras_tuner.Objective(f"val_{task.name}_{metric}", direction)
