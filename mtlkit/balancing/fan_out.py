"""The place where the gradients of tasks meet: a feature that goes to several of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlkit._counts import check_count
from mtlkit.balancing._draws import Draws
from mtlkit.balancing._state_variables import copy_state, state_variables
from mtlkit.balancing._task_losses import TaskLosses, loss_row, present_row
from mtlkit.balancing.aggregation.aggregator import Aggregator, GramianAggregator
from mtlkit.losses._replicas import sum_over_replicas


@keras.saving.register_keras_serializable(package="mtlkit")
class FanOut(keras.layers.Layer):
    """Gives a feature to several tasks, and combines their gradients on the way back.

    Forward each task gets the feature itself. Backward the layer receives the gradient of every
    task's loss at the feature, in the one backward pass that there is, combines them with an
    aggregator, and hands the result to what computes the feature. So what is aggregated are
    gradients with respect to the shared *feature* of the batch, a matrix of shape `(tasks,
    batch * numbers)`, not those with respect to the backbone's parameters. Heads get their own
    gradients, as ever.

    A task whose gradient is zero, since it is stopped or the batch has no label of it, takes no
    part. The result of an aggregator that averages is multiplied by the number of tasks that take
    part: with `mtlkit.balancing.Mean` training is what it is without this layer.

    `mtlkit.MultiTaskModel(..., balancer=...)` puts one behind each feature map that several tasks
    read. Outside of training it costs nothing.

    Attributes:
        losses_before: The losses of the tasks in the step before, for an aggregator that needs
            them: a variable of shape `(tasks,)`, which the model sets; else `None`.

    Args:
        aggregator: The aggregator.
        num_tasks: Number of tasks.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        Any floating-point tensor `(batch, ...)`.

    Output shape:
        A list of `num_tasks` tensors, of the shape of the input.

    Raises:
        ValueError: If the aggregator is none, or there is not at least one task.

    Example:
        ```python
        import keras
        from mtlkit.balancing import FanOut, UPGrad

        image = keras.Input((8, 8, 1))
        feature = keras.layers.Dense(16, activation="relu")(keras.layers.Flatten()(image))
        first, second = FanOut(UPGrad(), num_tasks=2)(feature)
        model = keras.Model(image, [keras.layers.Dense(3)(first), keras.layers.Dense(1)(second)])
        ```
    """

    def __init__(self, aggregator: Aggregator, num_tasks: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if not isinstance(aggregator, Aggregator):
            raise ValueError(
                "Expected a mtlkit.balancing.Aggregator, such as mtlkit.balancing.UPGrad(). "
                f"Received: aggregator={aggregator!r}"
            )
        check_count("num_tasks", num_tasks, 1)
        self.supports_masking = True
        self.aggregator = aggregator
        self.num_tasks = num_tasks

    def build(self, input_shape: Any) -> None:
        initial = self.aggregator.initial_state(self.num_tasks)
        # Their "gradients" are the next state: the backward pass is the only one that knows it.
        self.state = state_variables(
            initial, self.add_weight, trained=initial, overwrite_with_gradient=True
        )
        self.losses_before: Any = None
        if self.aggregator.needs_losses:
            self.losses_before = self.add_weight(
                name="losses",
                shape=(self.num_tasks,),
                initializer="zeros",
                trainable=False,
                dtype="float32",
                autocast=False,
            )
        shape = self.aggregator.noise_shape(self.num_tasks, 1)
        self._draws = Draws.of(self.aggregator, shape, self.add_weight, "draws")

    def call(self, inputs: Any, training: bool | None = None) -> list[Any]:
        if not training:
            return [inputs] * self.num_tasks
        given = [ops.convert_to_tensor(value) for value in self.state.values()]
        if self.losses_before is not None:
            # A copy, since the model sets them anew before the backward pass.
            given.append(ops.convert_to_tensor(self.losses_before) + 0.0)
        if self._draws is not None:
            size = math.prod(ops.shape(inputs))
            given.append(self._draws.next(self.aggregator.noise_shape(self.num_tasks, size) or ()))
        return _fanned_out(self, inputs, given)

    def combine(self, upstream: Sequence[Any], given: list[Any]) -> tuple[Any, list[Any]]:
        """Combines the gradients of the tasks.

        Args:
            upstream: Gradients by task, of shape `(batch, ...)`.
            given: The values of the state, then the losses and random numbers, if they are needed.

        Returns:
            The combined gradient, of shape `(batch, ...)`, and the values of the next state.
        """
        names = list(self.state)
        state, rest = dict(zip(names, given, strict=False)), list(given[len(names) :])
        losses = rest.pop(0) if self.losses_before is not None else None
        noise = rest.pop(0) if rest else None
        flat = [ops.cast(ops.reshape(one, (-1,)), "float32") for one in upstream]
        rows = ops.stack(flat)
        options = {"noise": noise, "losses": losses}
        aggregator = self.aggregator
        if isinstance(aggregator, GramianAggregator):
            (gramian,) = sum_over_replicas(rows @ ops.transpose(rows))
            weights, after = aggregator.weigh_sum(gramian, state, **options)
            found = (weights[None, :] @ rows)[0]
        else:
            found, after = aggregator.combine(rows, state, **options)
            if aggregator.averages:
                present = ops.any(rows != 0, axis=1)
                found = found * ops.sum(ops.cast(present, found.dtype))
        found = ops.reshape(found, ops.shape(upstream[0]))
        return ops.cast(found, upstream[0].dtype), [after[n] for n in names]

    def keep_losses(self, losses: TaskLosses, tasks: Sequence[str]) -> None:
        """Keeps the losses of this step for the next one, of tasks with labelled samples.

        Args:
            losses: By task the loss, and the number of labelled samples on this device.
            tasks: Names of the layer's tasks.
        """
        if self.losses_before is None:
            return
        there = present_row(losses, tasks) > 0
        before = ops.convert_to_tensor(self.losses_before)
        kept = ops.where(there, loss_row(losses, tasks), before)
        self.losses_before.assign(ops.stop_gradient(kept))

    def copy_to(self, other: FanOut, new_task: int | None = None) -> None:
        """Gives the state to another layer of as many tasks.

        Args:
            other: The layer.
            new_task: Number of the task that has another head there, if any.
        """
        state = {name: ops.convert_to_numpy(value) for name, value in self.state.items()}
        if new_task is not None:
            state = self.aggregator.without_task(state, new_task)
        copy_state(state, other.state)
        if self._draws is not None:
            self._draws.copy_to(other._draws)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> list[Any]:
        return [keras.KerasTensor(inputs.shape, inputs.dtype) for _ in range(self.num_tasks)]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None if previous_mask is None else [previous_mask] * self.num_tasks

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "aggregator": keras.saving.serialize_keras_object(self.aggregator),
            "num_tasks": self.num_tasks,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FanOut:
        aggregator = keras.saving.deserialize_keras_object(config["aggregator"])
        return cls(**{**config, "aggregator": aggregator})


def _fanned_out(layer: FanOut, inputs: Any, given: list[Any]) -> list[Any]:
    """The input once for each task; its gradient is the combined one."""
    # On PyTorch, Keras leads the gradient of one output back: a stack, which takes no memory there.
    # Elsewhere it would be copied.
    stacks = keras.backend.backend() == "torch"

    @ops.custom_gradient
    def fan_out(inputs: Any, *given: Any) -> tuple[Any, Any]:
        def grad(*args: Any, upstream: Any = None) -> tuple[Any, ...]:
            gradients = ops.unstack(upstream, layer.num_tasks) if stacks else _flat(args)
            found, after = layer.combine(gradients, list(given))
            others = [ops.zeros_like(value) for value in given[len(after) :]]
            return (found, *after, *others)

        if stacks:
            shape = (layer.num_tasks, *ops.shape(inputs))
            return ops.broadcast_to(ops.expand_dims(inputs, 0), shape), grad
        return tuple(inputs for _ in range(layer.num_tasks)), grad

    outputs = fan_out(inputs, *given)
    return list(ops.unstack(outputs, layer.num_tasks) if stacks else outputs)


def _flat(gradients: Any) -> list[Any]:
    """Gradients in a row: TensorFlow gives one argument for each output, JAX one for all."""
    return list(keras.tree.flatten(gradients))
