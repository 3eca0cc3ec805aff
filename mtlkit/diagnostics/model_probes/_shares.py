"""Which share of the shared trunk's gradient each task has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit._gradients import gradients
from mtlkit.diagnostics._training.copies import loss_of
from mtlkit.model import MultiTaskModel


@dataclass(frozen=True)
class Shares:
    """The gradients of the tasks at the trunk's weights.

    Attributes:
        norms: The norm of each task's gradient, before the task's weight.
        weights: The weights of the tasks.
    """

    norms: Mapping[str, float]
    weights: Mapping[str, float]

    @property
    def shares(self) -> dict[str, float]:
        """The share of each task: weight times norm, over the sum of all."""
        pulls = {name: self.weights[name] * norm for name, norm in self.norms.items()}
        total = sum(pulls.values())
        return {name: pull / total if total else 0.0 for name, pull in pulls.items()}

    def equal_weights(self, task: str) -> dict[str, float]:
        """Weights that make all shares equal."""
        pull = self.norms.get(task, 0.0) * (self.weights.get(task, 0.0) > 0)
        if not pull:
            return dict(self.weights)
        reach = [name for name, norm in self.norms.items() if norm * self.weights[name] > 0]
        return {**self.weights, **{name: pull / self.norms[name] for name in reach}}


def gradient_shares(model: MultiTaskModel, x: Any, y: Mapping[str, NDArray]) -> Shares:
    """Measures the gradients of the tasks at the trainable weights of the trunk.

    On every backend; nothing of the model is changed.
    """
    variables = list(model.backbone.trainable_variables)
    norms: dict[str, float] = {}
    for name, task in model.tasks.items():
        if name not in y or not variables:
            continue
        loss = loss_of(task)

        def value(name: str = name, loss: Any = loss) -> Any:
            return keras.ops.sum(loss(y[name], model(x, training=True)[name]))

        found = gradients(value, variables)
        squares = (np.square(one, dtype="float64").sum() for one in found)
        norms[name] = float(np.sqrt(sum(squares)))
    weights = {name: float(keras.ops.convert_to_numpy(model.task_weights[name])) for name in norms}
    return Shares(norms, weights)
