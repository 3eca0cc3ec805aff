"""Gradients of tasks with respect to the parameters of the backbone, balanced in each step.

The weights of the tasks come from the products of their gradients at the parameters that several
tasks depend on: one backward pass for each task, through the graph of the step. They are applied
in the step's own backward pass, where the gradients of tasks enter the backbone. TensorFlow and
PyTorch keep the graph of a step, so this is done as soon as the losses are known. JAX keeps none:
there the step is looked at ahead, with a forward pass of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from mtlkit._gradients import keeps_graph, rows_in_step, rows_of_function
from mtlkit.balancing._draws import Draws
from mtlkit.balancing._state_variables import copy_state, state_variables
from mtlkit.balancing._task_losses import TaskLosses, loss_row
from mtlkit.balancing.aggregation.aggregator import Aggregator, GramianAggregator
from mtlkit.balancing.weighted_gate import WeightedGate
from mtlkit.losses._replicas import num_replicas
from mtlkit.model.task import Task


class ParameterBalance:
    """Weighs the gradients of tasks by an aggregator, from their products at shared parameters.

    Args:
        aggregator: The aggregator.
        gates: The gates through which gradients enter the backbone, with the names of their tasks.
        variables: Returns the parameters that several tasks depend on and that are trained.
        add_weight: Adds a variable to the model.
    """

    def __init__(
        self,
        aggregator: Aggregator,
        gates: Sequence[tuple[WeightedGate, str]],
        variables: Callable[[], list[Any]],
        add_weight: Callable[..., Any],
    ) -> None:
        if not isinstance(aggregator, GramianAggregator):
            raise ValueError(
                'Expected, with balancer_space="parameters", an aggregator that needs no more than '
                "the products of gradients, a mtlkit.balancing.GramianAggregator. "
                f"Received: {aggregator!r}"
            )
        self._aggregator = aggregator
        self._gates = list(gates)
        self._variables = variables
        self.tasks = list(dict.fromkeys(name for _, name in self._gates))
        initial = aggregator.initial_state(len(self.tasks))
        self.state = state_variables(initial, add_weight, "balancer_")
        self._shape = aggregator.noise_shape(len(self.tasks), 1)
        self._draws = Draws.of(aggregator, self._shape, add_weight, "balancer_draws")
        #: On JAX the state for the next step, from the look ahead.
        self._next: dict[str, Any] | None = None

    def weigh(self, losses: TaskLosses) -> None:
        """Finds the weights of a step, and sets them, as its losses are known.

        Args:
            losses: By task the weighted loss, and the number of labelled samples.
        """
        if num_replicas() > 1:
            raise ValueError(
                'Expected balancer_space="features" on several devices. '
                'Received: balancer_space="parameters"'
            )
        if self._next is not None:
            self._keep(self._next)
            return
        self.clear()
        if not self.variables or not keeps_graph():
            return
        names = [name for name in self.tasks if name in losses]
        values = [ops.cast(losses[name][0], "float32") for name in names]
        rows = dict(zip(names, rows_in_step(values, self.variables), strict=True))
        gramian = self._gramian([rows.get(name) for name in self.tasks])
        weights, after = self._weights(gramian, loss_row(losses, self.tasks))
        self._set(weights)
        self._keep(after)

    def look_ahead(self, losses_of: Callable[[list[Any]], Any], tensors: list[Any]) -> None:
        """Finds and sets the weights of a step on JAX, before it is computed.

        Args:
            losses_of: From the values of the shared parameters to the tasks' weighted losses, in
                a row, 0 where the batch has no labels.
            tensors: The values of the shared parameters.
        """
        self.clear()
        rows, values = rows_of_function(losses_of, tensors)
        gramian = sum(_products(ops.reshape(row, (len(self.tasks), -1))) for row in rows)
        weights, self._next = self._weights(ops.stop_gradient(gramian), values)
        self._set(weights)

    def clear(self) -> None:
        """Forgets the weights of the step before."""
        self._next = None
        self._set(None)

    @property
    def variables(self) -> list[Any]:
        """The shared parameters that are trained; none where the backbone is frozen."""
        return self._variables()

    def copy_to(self, other: ParameterBalance, new_task: str | None = None) -> None:
        """Gives the state to that of another model with the same tasks.

        Args:
            other: The other one.
            new_task: Name of the task that has another head there, if any.
        """
        state = {name: ops.convert_to_numpy(value) for name, value in self.state.items()}
        if new_task in self.tasks:
            state = self._aggregator.without_task(state, self.tasks.index(str(new_task)))
        if other.tasks == self.tasks:
            copy_state(state, other.state)
        if self._draws is not None:
            self._draws.copy_to(other._draws)

    def _gramian(self, rows: Sequence[Any]) -> Any:
        """The products of the gradients of all tasks, 0 for those that have none."""
        known = next(row for row in rows if row is not None)
        total: Any = 0.0
        for place, one in enumerate(known):
            zero = ops.zeros_like(one)
            own = [zero if row is None else row[place] for row in rows]
            total = total + _products(ops.reshape(ops.stack(own), (len(rows), -1)))
        return ops.stop_gradient(total)

    def _weights(self, gramian: Any, losses: Any) -> tuple[Any, dict[str, Any]]:
        """The weights by which gradients enter the backbone, and the next state."""
        before = {name: ops.convert_to_tensor(value) for name, value in self.state.items()}
        noise = None if self._draws is None else self._draws.look(self._shape or ())
        losses = ops.stop_gradient(losses)
        weights, after = self._aggregator.weigh_sum(gramian, before, noise=noise, losses=losses)
        # A task whose gradient is zero at the shared parameters may reach others of its own.
        return ops.where(ops.diagonal(gramian) == 0, ops.ones_like(weights), weights), after

    def _keep(self, after: Mapping[str, Any]) -> None:
        """Keeps the state for the next step."""
        for name, value in self.state.items():
            value.assign(after[name])
        if self._draws is not None:
            self._draws.advance()

    def _set(self, weights: Any) -> None:
        for gate, name in self._gates:
            gate.weight = None if weights is None else weights[self.tasks.index(name)]


def _products(rows: Any) -> Any:
    rows = ops.cast(rows, "float32")
    return rows @ ops.transpose(rows)


def check_space_name(space: Any) -> None:
    """Raises a ValueError unless there is such a space."""
    if space not in ("features", "parameters"):
        raise ValueError(
            f'Expected balancer_space to be "features" or "parameters". Received: {space!r}'
        )


def check_space(space: Any, weighting: Any, aggregator: Any, tasks: Sequence[Task]) -> None:
    """Raises a ValueError unless a balancer can work in a space."""
    check_space_name(space)
    if space == "features":
        return
    if weighting is not None or aggregator is None:
        both = None if weighting is None else [weighting, aggregator]
        raise ValueError(
            'Expected, with balancer_space="parameters", an aggregator alone, such as '
            f'balancer="upgrad". Received: balancer={both}'
        )
    for task in tasks:
        if task.condition_on is not None and task.condition_gradient != "stop":
            raise ValueError(
                f'Task {task.name!r}: expected condition_gradient="stop" with '
                'balancer_space="parameters", since a gradient through the head of '
                f"{task.condition_on!r} would be weighed as that task's. "
                f"Received: condition_gradient={task.condition_gradient!r}"
            )


def look_ahead(model: Any, balance: ParameterBalance, given: Mapping[str, Any]) -> None:
    """Finds the weights of a step on JAX, from the arguments of `compute_loss_and_updates`."""
    trained, others = given["trainable_variables"], given["non_trainable_variables"]
    places = {id(variable): place for place, variable in enumerate(model.trainable_variables)}
    shared = [places[id(variable)] for variable in balance.variables]
    if not shared:
        return
    metrics = list(zip(model.metrics_variables, given["metrics_variables"], strict=True))

    def losses_of(tensors: list[Any]) -> Any:
        values = list(trained)
        for place, tensor in zip(shared, tensors, strict=True):
            values[place] = tensor
        outputs, after = model.stateless_call(values, others, given["x"], training=True)
        state = [*zip(model.trainable_variables, values, strict=True)]
        state += [*zip(model.non_trainable_variables, after, strict=True), *metrics]
        with keras.StatelessScope(state_mapping=state):
            found = model.losses_of_tasks(given["y"], outputs, given["sample_weight"])
        return loss_row(found, balance.tasks)

    state = zip(model.non_trainable_variables, others, strict=True)
    with keras.StatelessScope(state_mapping=list(state)):
        balance.look_ahead(losses_of, [trained[place] for place in shared])
