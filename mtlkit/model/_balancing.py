"""The balancer of a model: of its losses, of gradients at features, or at parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from mtlkit.balancing._names import split
from mtlkit.model._loss_balance import LossBalance, check_optimizer, keep_from_decay
from mtlkit.model._parameter_balance import ParameterBalance, check_space, look_ahead
from mtlkit.model._wiring import Space, Wired
from mtlkit.model.task import Task


class Balancing:
    """The balancer of a model, and its state.

    Args:
        balancer: What the user gave.
        space: Where gradients are aggregated.
        tasks: The tasks of the model.

    Attributes:
        space: Where gradients are aggregated.
        aggregator: The aggregator, or `None`.
        losses: The balance of losses, or `None`.
        parameters: The balance of gradients at parameters, or `None`.
        fan_outs: The layers in which gradients meet, with the names of their tasks.

    Raises:
        ValueError: If the balancer is none, or cannot work there with these tasks.
    """

    def __init__(self, balancer: Any, space: Space, tasks: Sequence[Task]) -> None:
        self._weighting, self.aggregator = split(balancer)
        check_space(space, self._weighting, self.aggregator, tasks)
        self.space = space
        self._tasks = [task.name for task in tasks]
        self.losses: LossBalance | None = None
        self.parameters: ParameterBalance | None = None
        self.fan_outs: tuple[tuple[Any, list[str]], ...] = ()

    def build(
        self, wired: Wired, shared: Callable[[], list[Any]], add_weight: Callable[..., Any]
    ) -> None:
        """Adds the state to a model.

        Args:
            wired: How the tasks are connected to the backbone.
            shared: Returns the parameters that several tasks depend on and that are trained.
            add_weight: Adds a variable to the model.
        """
        self.fan_outs = tuple(wired.fan_outs)
        if self._weighting is not None:
            self.losses = LossBalance(self._weighting, self._tasks, add_weight)
        if self.aggregator is not None and wired.gates:
            self.parameters = ParameterBalance(self.aggregator, wired.gates, shared, add_weight)

    @property
    def balancer(self) -> Any:
        """The loss weighting, the aggregator, a list of both, or `None`."""
        parts = [part for part in (self._weighting, self.aggregator) if part is not None]
        return parts if len(parts) > 1 else (*parts, None)[0]

    @property
    def learned(self) -> list[Any]:
        """The variables of the balancer that are trained with the model."""
        return [] if self.losses is None else self.losses.learned

    @property
    def callbacks(self) -> list[keras.callbacks.Callback]:
        """What `fit` needs beside the user's callbacks."""
        return [] if self.losses is None else self.losses.callbacks

    def check_compiled(self, optimizer: Any, run_eagerly: bool) -> None:
        """Prepares an optimizer; raises a ValueError where training could not be balanced."""
        check_optimizer(optimizer, self.fan_outs)
        keep_from_decay(optimizer, self.losses)
        on_tensorflow = keras.backend.backend() == "tensorflow"
        if self.parameters is not None and run_eagerly and on_tensorflow:
            raise ValueError(
                'Expected run_eagerly=False with balancer_space="parameters", which needs the '
                "graph of a step. Received: run_eagerly=True"
            )

    def total(self, losses: Mapping[str, tuple[Any, Any]]) -> Any:
        """The loss that is trained, of the tasks' weighted losses and numbers of samples."""
        if self.parameters is not None:
            self.parameters.weigh(losses)
        for layer, names in self.fan_outs:
            layer.keep_losses(losses, names)
        if self.losses is not None:
            return self.losses.total(losses)
        values = [value for value, _ in losses.values()]
        return sum(values[1:], values[0])

    def look_ahead(self, model: Any, given: Mapping[str, Any]) -> None:
        """Does what JAX needs before a step, from the arguments of `compute_loss_and_updates`."""
        if self.parameters is not None and given.get("training"):
            look_ahead(model, self.parameters, given)

    def forget_step(self) -> None:
        """Forgets the tensors of the last step, which are part of no other graph."""
        if self.parameters is not None:
            self.parameters.clear()

    def copy_to(self, other: Balancing, new_task: str) -> None:
        """Gives the state to that of a model in which a task has another head."""
        if self.losses is not None and other.losses is not None:
            self.losses.copy_to(other.losses)
        if self.parameters is not None and other.parameters is not None:
            self.parameters.copy_to(other.parameters, new_task)
        theirs = {layer.name: (layer, names) for layer, names in other.fan_outs}
        for layer, names in self.fan_outs:
            same, same_names = theirs.get(layer.name, (None, []))
            if same is not None and same_names == names:
                layer.copy_to(same, names.index(new_task) if new_task in names else None)
