"""State and random numbers of what is called by hand, step after step."""

from __future__ import annotations

from typing import Any, Self

import keras
import numpy as np
from keras import ops


class Stateful:
    """Keeps the state of a method between calls; the method itself is a pure function.

    Trainers do not use this state: they hand in their own, which they save.
    """

    _state: dict[str, Any] | None

    def __init__(self) -> None:
        self.reset()

    def initial_state(self, num_tasks: int) -> dict[str, Any]:
        """Returns the state before the first call, of arrays; empty for most methods."""
        return {}

    def reset(self) -> None:
        """Forgets the state of earlier calls, and starts the random numbers again."""
        self._state = None
        self._random = np.random.default_rng(getattr(self, "seed", None))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Makes one of what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"

    def _started(self, num_tasks: int, like: Any) -> dict[str, Any]:
        """The state of the calls before, or a new one, of the type of a tensor."""
        if self._state is None:
            self._state = self.initial_state(num_tasks)
        for value in self._state.values():
            if len(value.shape) and value.shape[0] != num_tasks:
                raise ValueError(
                    f"Expected {value.shape[0]} tasks, as in the calls before reset(). "
                    f"Received: {num_tasks}"
                )
        return {name: ops.cast(value, like.dtype) for name, value in self._state.items()}

    def _drawn(self, shape: tuple[int, ...] | None, like: Any) -> Any:
        """Random numbers in [0, 1) of a shape, of the type of a tensor; `None` for no shape."""
        if shape is None:
            return None
        # float32, so that no number is rounded up to 1.
        drawn = self._random.random(shape, dtype="float32")
        return ops.cast(ops.convert_to_tensor(drawn), like.dtype)


def as_tensor(values: Any) -> Any:
    """An array or tensor as a tensor of a floating-point type, float64 where it is that."""
    if ops.is_tensor(values):
        tensor = values
    else:
        array = np.asarray(values)
        # PyTorch has to be told of float64; JAX has it, or warns where it is told.
        told = array.dtype == "float64" and keras.backend.backend() != "jax"
        tensor = ops.convert_to_tensor(array, dtype="float64" if told else None)
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return tensor if dtype in ("float32", "float64") else ops.cast(tensor, "float32")
