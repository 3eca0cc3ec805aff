"""A word about tasks that drown others: one loss at the start is a thousand times another's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

from mtlkit._warnings import warn
from mtlkit.heads.regression import RegressionHead
from mtlkit.model.task import Task

#: How many times another one's a weighted loss must be.
RATIO = 1000.0
#: A smaller loss counts as this much: it may be a task that is learned, or starts near zero.
SMALL = 0.1
#: Batches looked at, since the first ones may lack labels for a task.
_BATCHES = 10


class FirstLosses(keras.callbacks.Callback):
    """Compares the weighted losses of tasks in the first batches of a training.

    It reads the logs of the training steps, so it costs nothing. Of each task the first batch
    counts that has a label for it, and the weight includes the scale of its gradient.
    """

    def __init__(self) -> None:
        super().__init__()
        self._losses: dict[str, float] = {}
        self._done = False

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._done:
            return
        model: Any = self.model
        weights = {name: _at_the_backbone(model, name) for name in model.tasks}
        for name, weight in weights.items():
            value = (logs or {}).get(f"{name}_loss")
            if name not in self._losses and value is not None and weight > 0:
                loss = weight * float(keras.ops.convert_to_numpy(value))
                if math.isfinite(loss):
                    self._losses[name] = loss
        all_seen = self._losses.keys() >= {name for name, weight in weights.items() if weight > 0}
        if all_seen or batch + 1 >= _BATCHES:
            self._done = True
            warn_of_unequal_losses(self._losses, model.tasks)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if not self._done:
            self._done = True
            warn_of_unequal_losses(self._losses, self.model.tasks)


def warn_of_unequal_losses(losses: Mapping[str, float], tasks: Mapping[str, Task]) -> None:
    """Warns if a weighted loss is a thousand times another one."""
    if len(losses) < 2:
        return
    largest, smallest = max(losses, key=losses.__getitem__), min(losses, key=losses.__getitem__)
    other = max(losses[smallest], SMALL)
    if losses[largest] < RATIO * other:
        return
    warn(
        f"Task {largest!r}: its weighted loss is {losses[largest]:.3g} at the start, and that of "
        f"task {smallest!r} {losses[smallest]:.3g}, so the latter hardly trains what both share. "
        f"{_cure(tasks[largest], losses[largest] / other)}"
    )


def _at_the_backbone(model: Any, name: str) -> float:
    """The weight of a task where its gradient meets those of others: 0 if it is stopped."""
    weight = float(keras.ops.convert_to_numpy(model.task_weights[name]))
    if model.tasks[name].gradient == "stop":
        return 0.0
    gate = model._gates.get(name)
    return weight if gate is None else weight * abs(float(keras.ops.convert_to_numpy(gate.scale)))


def _cure(task: Task, ratio: float) -> str:
    if isinstance(task.head, RegressionHead) and not task.head.standardize:
        return (
            "Let the head standardise its labels: "
            f"mtl.Task({task.name!r}, mtl.heads.RegressionHead({task.head.units}, "
            "standardize=True))"
        )
    weight = task.weight / ratio
    return (
        "Scale its labels or its loss, or give it less weight: "
        f"mtl.Task({task.name!r}, head, weight={weight:.1g})"
    )
