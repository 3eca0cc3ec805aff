"""The loss weighting of a model: its state in variables, and the total loss of a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from mtlkit.balancing._draws import Draws
from mtlkit.balancing._state_variables import copy_state, state_variables
from mtlkit.balancing._task_losses import TaskLosses, loss_row, present_row
from mtlkit.balancing.scalarization.loss_weighting import LossWeighting


class LossBalance:
    """Makes one loss of the losses of the tasks, and keeps the state of how.

    Args:
        weighting: The loss weighting.
        tasks: Names of the tasks, in the order of the losses.
        add_weight: Adds a variable to the model.
    """

    def __init__(
        self, weighting: LossWeighting, tasks: Sequence[str], add_weight: Callable[..., Any]
    ) -> None:
        self.weighting = weighting
        self.tasks = list(tasks)
        initial = weighting.initial_state(len(tasks))
        self.state = state_variables(initial, add_weight, "balancer_", weighting.learned)
        self._shape = weighting.noise_shape(len(tasks))
        self._draws = Draws.of(weighting, self._shape, add_weight, "balancer_loss_draws")

    def total(self, losses: TaskLosses) -> Any:
        """Returns the loss that is trained.

        Args:
            losses: By task the weighted loss and the number of labelled samples; no entry where
                the batch has no labels of a task.
        """
        values, present = loss_row(losses, self.tasks), present_row(losses, self.tasks)
        before = {name: ops.convert_to_tensor(value) for name, value in self.state.items()}
        noise = None if self._draws is None else self._draws.next(self._shape or ())
        total, after = self.weighting.total(values, present, before, noise=noise)
        for name, value in self.state.items():
            if name not in self.weighting.learned:
                value.assign(ops.stop_gradient(after[name]))
        return total

    def end_epoch(self) -> None:
        """Changes the state as an epoch ends."""
        before = {name: ops.convert_to_tensor(value) for name, value in self.state.items()}
        after = self.weighting.at_epoch_end(before)
        for name, value in self.state.items():
            if after[name] is not before[name]:
                value.assign(ops.convert_to_numpy(after[name]))

    @property
    def learned(self) -> list[Any]:
        """The variables that are trained with the model."""
        return [self.state[name] for name in self.weighting.learned]

    @property
    def callbacks(self) -> list[keras.callbacks.Callback]:
        """What `fit` needs beside the user's callbacks."""
        changes = type(self.weighting).at_epoch_end is not LossWeighting.at_epoch_end
        return [_EndEpoch(self)] if changes else []

    def copy_to(self, other: LossBalance) -> None:
        """Gives the state to that of another model with the same tasks."""
        copy_state(self.state, other.state)
        if self._draws is not None:
            self._draws.copy_to(other._draws)


class _EndEpoch(keras.callbacks.Callback):
    def __init__(self, balance: LossBalance) -> None:
        super().__init__()
        self._balance = balance

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._balance.end_epoch()


def with_callbacks(given: Any, own: Sequence[keras.callbacks.Callback]) -> Any:
    """The callbacks of `fit` behind others: a list, or the user's `CallbackList` with them added.

    Others come first, so that checkpoints hold what they change.
    """
    if isinstance(given, keras.callbacks.CallbackList):
        there = [type(callback) for callback in given.callbacks]
        given.callbacks[:0] = [callback for callback in own if type(callback) not in there]
        return given
    return [*own, *keras.tree.flatten(given or [])]


def check_optimizer(optimizer: Any, fan_outs: Sequence[tuple[Any, Any]]) -> None:
    """Raises a ValueError where an optimizer would spoil the state of an aggregator.

    The state for the next step comes with the gradients, which the optimizer would add up, and it
    is among the trained variables, of which the optimizer may keep averages.
    """
    stateful = [layer.aggregator for layer, _ in fan_outs if layer.state]
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    for argument in ("gradient_accumulation_steps", "use_ema"):
        value = getattr(inner, argument, None)
        if stateful and value:
            raise ValueError(
                f"Expected an optimizer without {argument} beside {stateful[0]}, whose state "
                f"changes in each step. Received: {argument}={value}"
            )


def keep_from_decay(optimizer: Any, balance: LossBalance | None) -> None:
    """Keeps learned weights of losses from weight decay, which would draw them to equal ones."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if balance is not None and balance.learned and not inner.built:
        inner.exclude_from_weight_decay(var_list=balance.learned)
