"""The losses of a step, in the order of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from mtlkit.losses._replicas import sum_over_replicas

#: By task the weighted loss and the number of labelled samples on this device; nothing of a task
#: without labels in the batch.
TaskLosses = Mapping[str, tuple[Any, Any]]


def loss_row(losses: TaskLosses, tasks: Sequence[str]) -> Any:
    """The losses of tasks, float32, of shape `(tasks,)`; 0 where a task has no labels."""
    return ops.stack([ops.cast(value, "float32") for value, _ in _pairs(losses, tasks)])


def present_row(losses: TaskLosses, tasks: Sequence[str]) -> Any:
    """1 for each task with a labelled sample on any device, else 0; float32, `(tasks,)`."""
    numbers = (ops.cast(samples, "float32") for _, samples in _pairs(losses, tasks))
    return ops.cast(ops.stack(list(sum_over_replicas(*numbers))) > 0, "float32")


def _pairs(losses: TaskLosses, tasks: Sequence[str]) -> list[tuple[Any, Any]]:
    zero = ops.zeros((), "float32")
    return [losses.get(name, (zero, zero)) for name in tasks]
