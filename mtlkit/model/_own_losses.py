"""Losses and metrics of the user's own, tried on a batch before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
from keras import ops

from mtlkit._arrays import to_numpy
from mtlkit.losses._partial_labels import PartialLabels
from mtlkit.losses.masked import MaskedLoss
from mtlkit.metrics._task_metric import TaskMetric
from mtlkit.model.task import Task


def tasks_with_own(tasks: Mapping[str, Task]) -> dict[str, Task]:
    """The tasks that have a loss or metrics other than those of their heads."""
    return {
        name: task
        for name, task in tasks.items()
        if task.loss is not None or task.metrics or task.weighted_metrics
    }


def try_own_losses(
    tasks: Mapping[str, Task],
    losses: Mapping[str, MaskedLoss],
    metrics: Mapping[str, Sequence[TaskMetric]],
    y: Mapping[str, Any],
    outputs: Mapping[str, Any],
) -> None:
    """Computes losses and metrics once, of outputs that are zero, and keeps nothing of it.

    Args:
        tasks: Tasks that have a loss or metrics of their own.
        losses: The losses of all tasks.
        metrics: Their metrics.
        y: Labels of a batch, of tasks that have some in it.
        outputs: The outputs of the model.

    Raises:
        ValueError: If one of them raises anything. In a compiled step its error names no task.
    """
    for name, task in tasks.items():
        if y.get(name) is not None:
            _try(task, losses[name], metrics[name], y[name], outputs[name].shape)


def _try(
    task: Task, loss: MaskedLoss, metrics: Sequence[TaskMetric], y: Any, shape: Sequence[int | None]
) -> None:
    if None in shape[1:]:
        return
    array = to_numpy(y)
    if array.dtype.kind == "f":
        array = array.astype(keras.config.floatx())  # as Keras does
    labels = PartialLabels(array, by_entry=loss.by_entry)
    y_pred = ops.zeros((len(array), *shape[1:]))
    computed: dict[str, Callable[[], Any]] = {
        f"loss {loss.name!r}": partial(loss.of_labels, labels, y_pred)
    }
    for metric in metrics:
        name = metric.name.removeprefix(f"{task.name}_")
        computed[f"metric {name!r}"] = partial(metric.update_labelled, labels, y_pred)
    for what, compute in computed.items():
        try:
            with keras.StatelessScope():  # metrics stay as they are
                compute()
        except Exception as error:
            kind = what.partition(" ")[0]
            raise ValueError(
                f"Task {task.name!r}: expected a {kind} that takes labels of shape {array.shape} "
                f"and outputs of shape {tuple(y_pred.shape)}. Received: {what}, which raises "
                f"{type(error).__name__}: {_short(error)}. {_cure(task, kind)}"
            ) from error


def _cure(task: Task, kind: str) -> str:
    head = type(task.head).__name__
    if kind == "metric" and task.metrics is None and not task.weighted_metrics:
        return (
            f"It comes with {head}; give the task metrics=[...] that suit its loss, or metrics=[]"
        )
    argument = "loss" if kind == "loss" else "metrics"
    return f"Give another one, or leave out {argument}=...: {head} comes with what fits it"


def _short(error: Exception) -> str:
    """The first line of what an error says."""
    return str(error).strip().partition("\n")[0].rstrip(".")
