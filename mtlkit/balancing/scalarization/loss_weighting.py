"""What all loss weightings have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from keras import ops

from mtlkit.balancing._stateful import Stateful, as_tensor


class LossWeighting(Stateful, ABC):
    """Makes one loss of the losses of several tasks.

    In a `mtlkit.MultiTaskModel(..., balancer=...)` it gets the loss of each task times the task's
    weight, and what it returns is trained. A task without labels in the batch takes no part.
    Validation losses are the plain sum, so that they can be compared.

    A subclass implements `total`, a pure function that may be compiled. `__call__` is the way
    to use it by hand; it keeps the state between calls.

    Attributes:
        learned: Names of what of the state is trained with the model, by the gradient of the total;
            everything else of it `total` itself changes.

    Example:
        ```python
        from keras import ops

        from mtlkit.balancing import LossWeighting

        class Squares(LossWeighting):
            def total(self, losses, present, state, *, noise=None):
                return ops.sum(present * losses**2), state

        assert float(Squares()([1.0, 2.0])) == 5.0
        ```
    """

    learned: tuple[str, ...] = ()

    def noise_shape(self, num_tasks: int) -> tuple[int, ...] | None:
        """Returns the shape of the random numbers that `total` needs, or `None` for none."""
        return None

    @abstractmethod
    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        """Computes the loss that is trained, without side effects, so that it may be compiled.

        Args:
            losses: The losses of the tasks, a tensor of shape `(tasks,)`, 0 where a task takes
                no part.
            present: 1 for each task that takes part, else 0, of the same shape and type.
            state: What `initial_state` or the call before returned.
            noise: Numbers in [0, 1), drawn evenly, of the shape that `noise_shape` says.

        Returns:
            A scalar, and the state for the next call.
        """

    def at_epoch_end(self, state: dict[str, Any]) -> dict[str, Any]:
        """Returns the state with which the next epoch begins, without side effects."""
        return state

    def __call__(self, losses: Any) -> Any:
        """Computes the loss that is trained, and keeps the state for the next call.

        Args:
            losses: The losses of the tasks, an array or tensor of shape `(tasks,)`; NaN for a task
                that takes no part.

        Returns:
            A scalar tensor.

        Raises:
            ValueError: If the losses are not in a row, or their number is not that of the calls
                before.
        """
        values = as_tensor(losses)
        if len(values.shape) != 1:
            raise ValueError(
                f"Expected losses of shape (tasks,). Received: shape {tuple(values.shape)}"
            )
        number = int(values.shape[0])
        state = self._started(number, values)
        there = ops.logical_not(ops.isnan(values))
        filled = ops.where(there, values, ops.zeros_like(values))
        noise = self._drawn(self.noise_shape(number), values)
        found, self._state = self.total(filled, ops.cast(there, values.dtype), state, noise=noise)
        return found

    def end_epoch(self) -> None:
        """Ends an epoch of calls by hand; `fit` does so by itself."""
        if self._state is not None:
            self._state = self.at_epoch_end(self._state)

    @property
    def state(self) -> dict[str, np.ndarray]:
        """The state after the calls so far, as arrays; empty before the first one."""
        return {name: ops.convert_to_numpy(value) for name, value in (self._state or {}).items()}


#: A smaller loss counts as this one where its logarithm or inverse is taken: it may be exactly 0.
LEAST_LOSS = 1e-8


def logarithms(losses: Any, present: Any) -> Any:
    """The logarithms of the losses of the tasks that take part, 0 for the others."""
    there = present > 0
    above = ops.maximum(losses, LEAST_LOSS)
    return ops.where(there, ops.log(ops.where(there, above, ops.ones_like(above))), 0.0)


def softmax(scores: Any, present: Any) -> Any:
    """The softmax over the tasks that take part, 0 for the others."""
    there = present > 0
    highest = ops.max(ops.where(there, scores, ops.full_like(scores, -np.inf)))
    shifted = ops.where(there, scores - highest, ops.zeros_like(scores))
    powers = present * ops.exp(shifted)
    return ops.divide_no_nan(powers, ops.sum(powers))
