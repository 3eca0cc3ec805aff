"""What all gradient aggregators have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from keras import ops

from mtlkit.balancing._stateful import Stateful, as_tensor
from mtlkit.balancing.aggregation._geometry import Geometry, inverse, of_gradients, of_gramian


class Aggregator(Stateful, ABC):
    """Combines the gradients of several tasks into one.

    An aggregator is called with a matrix of which each row is the gradient of a task's loss with
    respect to the shared parameters. A row of zeros, such as that of a task without labels in the
    batch, takes no part: the result is that of the matrix without it. Numbers that are not finite
    stay visible: the result is not finite then, and the state stays as it was.

    A subclass implements `combine`, a pure function that may be compiled. `__call__` is the way to
    use an aggregator by hand; it keeps the state between calls.

    Attributes:
        averages: Whether the result is on the scale of a mean of the gradients, rather than of
            their sum: `True` where equal gradients `g` give `g` again (`CAGrad`: `1 + c` times
            that). A trainer multiplies such a result by the number of tasks that take part, so
            that `Mean` is the same as training on the sum of the losses.
        needs_losses: Whether `combine` has to be given the losses of the tasks.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.balancing.aggregation import Aggregator

        class Largest(Aggregator):
            averages = True

            def combine(self, gradients, state, *, noise=None, losses=None):
                longest = ops.argmax(ops.sum(gradients**2, axis=1))
                return ops.take(gradients, longest, axis=0), state

        assert np.allclose(Largest()(np.array([[1.0, 0.0], [0.0, 2.0]])), [0, 2])
        ```
    """

    averages: bool = False
    needs_losses: bool = False

    def noise_shape(self, num_tasks: int, num_parameters: int) -> tuple[int, ...] | None:
        """Returns the shape of the random numbers that `combine` needs, or `None` for none."""
        return None

    @abstractmethod
    def combine(
        self,
        gradients: Any,
        state: dict[str, Any],
        *,
        noise: Any = None,
        losses: Any = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Combines gradients without side effects, so that it may be compiled.

        Args:
            gradients: A tensor of shape `(tasks, parameters)`, float32 or float64, whose number
                of rows is known.
            state: What `initial_state` or the call before returned.
            noise: Numbers in [0, 1), drawn evenly, of the shape that `noise_shape` says.
            losses: The losses of the tasks, of shape `(tasks,)`, if `needs_losses`.

        Returns:
            The combined gradient, of shape `(parameters,)`, and the state for the next call.
        """

    def without_task(self, state: dict[str, Any], task: int) -> dict[str, Any]:
        """Returns the state with nothing in it that holds for a task's old head alone.

        Args:
            state: As in `combine`.
            task: Number of the task that gets another head.
        """
        return state

    def __call__(self, gradients: Any, losses: Any = None) -> Any:
        """Combines gradients, and keeps the state for the next call.

        Args:
            gradients: An array or tensor of shape `(tasks, parameters)`.
            losses: The losses of the tasks, of shape `(tasks,)`, if `needs_losses`.

        Returns:
            The combined gradient, of shape `(parameters,)`: a NumPy array, unless `gradients` is
            a tensor.

        Raises:
            ValueError: If the gradients are not a matrix, losses are missing, or the number of
                tasks is not that of the calls before.
        """
        values = _as_matrix("gradients", gradients)
        num_tasks, num_parameters = (int(size) for size in values.shape)
        found, self._state = self.combine(
            values, self._started(num_tasks, values), **self._inputs(values, num_parameters, losses)
        )
        return found if ops.is_tensor(gradients) else ops.convert_to_numpy(found)

    def _inputs(self, like: Any, num_parameters: int, losses: Any) -> dict[str, Any]:
        """Random numbers and losses as tensors, where they are needed."""
        num_tasks = int(like.shape[0])
        inputs: dict[str, Any] = {}
        noise = self._drawn(self.noise_shape(num_tasks, num_parameters), like)
        if noise is not None:
            inputs["noise"] = noise
        if self.needs_losses:
            if losses is None or np.shape(losses) != (num_tasks,):
                came = "none" if losses is None else f"shape {np.shape(losses)}"
                raise ValueError(f"Expected losses of shape ({num_tasks},). Received: {came}")
            inputs["losses"] = ops.cast(ops.convert_to_tensor(losses), like.dtype)
        return inputs


class GramianAggregator(Aggregator):
    """An aggregator that weighs the gradients by their products with each other alone.

    Its result is `weights @ gradients`, where the weights depend on the Gramian
    `gradients @ gradients.T`, of shape `(tasks, tasks)`. So the gradients need not be in memory at
    once: the Gramian may be summed up over layers, and the weights applied to the losses.

    A subclass implements `_unit_weights`: the weights of the gradients at unit length, from their
    lengths and cosines. So the result is as accurate for long gradients as for short ones.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import MGDA

        gradients = np.array([[1.0, 0.0], [0.0, 2.0]])
        weights = MGDA().weights(gradients @ gradients.T)
        assert np.allclose(weights, [0.8, 0.2], atol=1e-4)
        assert np.allclose(weights @ gradients, MGDA()(gradients), atol=1e-4)
        ```
    """

    def combine(
        self,
        gradients: Any,
        state: dict[str, Any],
        *,
        noise: Any = None,
        losses: Any = None,
    ) -> tuple[Any, dict[str, Any]]:
        geometry = of_gradients(gradients)
        weights, state = self._of_geometry(geometry, state, noise, losses)
        return (weights[None, :] @ gradients)[0], state

    def weigh(
        self,
        gramian: Any,
        state: dict[str, Any],
        *,
        noise: Any = None,
        losses: Any = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Finds the weights without side effects, so that it may be compiled.

        Args:
            gramian: A tensor `(tasks, tasks)` of the products of the gradients with each other.
            state: As for `combine`, as are the following.
            noise: Random numbers.
            losses: The losses of the tasks.

        Returns:
            The weights of the gradients, of shape `(tasks,)`, and the state for the next call.
        """
        return self._of_geometry(of_gramian(gramian), state, noise, losses)

    def weigh_sum(
        self,
        gramian: Any,
        state: dict[str, Any],
        *,
        noise: Any = None,
        losses: Any = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Finds the weights for a trainer, whose loss is a sum: those of `weigh`, to that scale.

        Args:
            gramian: As for `weigh`, as are the following.
            state: The state before.
            noise: Random numbers.
            losses: The losses of the tasks.

        Returns:
            The weights, times the number of tasks that take part if the aggregator averages, and
            the state for the next call.
        """
        geometry = of_gramian(gramian)
        weights, state = self._of_geometry(geometry, state, noise, losses)
        return weights * geometry.count if self.averages else weights, state

    def weights(self, gramian: Any, losses: Any = None) -> Any:
        """Finds the weights, and keeps the state for the next call.

        Args:
            gramian: An array or tensor `(tasks, tasks)` of the products of the gradients with
                each other.
            losses: The losses of the tasks, of shape `(tasks,)`, if `needs_losses`.

        Returns:
            The weights of the gradients, of shape `(tasks,)`: a NumPy array, unless `gramian` is
            a tensor.

        Raises:
            ValueError: If the Gramian is not a square matrix, and as for a call.
        """
        values = _as_matrix("gramian", gramian)
        num_tasks = int(values.shape[0])
        if values.shape[1] != num_tasks:
            raise ValueError(
                f"Expected gramian of shape (tasks, tasks). Received: shape {tuple(values.shape)}"
            )
        state = self._started(num_tasks, values)
        found, self._state = self.weigh(values, state, **self._inputs(values, 0, losses))
        return found if ops.is_tensor(gramian) else ops.convert_to_numpy(found)

    @abstractmethod
    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The weights of the gradients divided by their lengths, and the next state."""

    def _of_geometry(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The weights of the gradients, NaN where something is not finite."""
        before = {name: ops.cast(value, geometry.dtype) for name, value in state.items()}
        units, after = self._unit_weights(geometry, before, noise, losses)
        weights = ops.where(geometry.finite, units * inverse(geometry.norms), np.nan)
        kept = {
            name: ops.where(geometry.finite, ops.cast(after[name], value.dtype), value)
            for name, value in state.items()
        }
        return weights, kept


def _as_matrix(name: str, values: Any) -> Any:
    """A matrix as a tensor of a floating-point type."""
    tensor = as_tensor(values)
    if len(tensor.shape) != 2:
        raise ValueError(f"Expected {name} as a matrix. Received: shape {tuple(tensor.shape)}")
    return tensor
