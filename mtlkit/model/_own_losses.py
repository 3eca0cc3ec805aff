"""Losses and metrics of the user's own, tried on a batch before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops
from numpy.typing import NDArray

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
    batch_size: int,
) -> None:
    """Computes losses and metrics once, of outputs that are zero, and keeps nothing of it.

    Args:
        tasks: Tasks that have a loss or metrics of their own.
        losses: The losses of all tasks.
        metrics: Their metrics.
        y: Labels by task, of a batch or of all samples; some tasks may have none.
        outputs: The outputs of the model.
        batch_size: Samples that are looked at, at most.

    Raises:
        ValueError: If one of them raises anything. In a compiled step its error names no task.
    """
    for name, task in tasks.items():
        if y.get(name) is not None:
            labels = to_numpy(y[name][:batch_size])
            _try(task, losses[name], metrics[name], labels, outputs[name].shape)


def _try(
    task: Task,
    loss: MaskedLoss,
    metrics: Sequence[TaskMetric],
    array: NDArray[Any],
    shape: Sequence[int | None],
) -> None:
    if None in shape[1:]:
        return
    if array.dtype.kind == "f":
        array = array.astype(keras.config.floatx())  # as Keras does
    labels = PartialLabels(array, by_entry=loss.by_entry)
    y_pred = ops.zeros((len(array), *shape[1:]))
    computed: list[tuple[str, str, Callable[..., Any]]] = [("loss", loss.name, loss.of_labels)]
    for metric in metrics:
        name = metric.name.removeprefix(f"{task.name}_")
        computed.append(("metric", name, metric.update_labelled))
    for kind, name, compute in computed:
        try:
            with keras.StatelessScope():  # metrics stay as they are
                compute(labels, y_pred)
        except Exception as error:
            raise ValueError(
                f"Task {task.name!r}: expected a {kind} that takes labels of shape {array.shape} "
                f"and outputs of shape {tuple(y_pred.shape)}. Received: {kind} {name!r}, which "
                f"raises {type(error).__name__}: {_short(error)}. {_cure(task, kind)}"
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
