"""Random numbers of a training step, the same on every backend and in resumed training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from mtlkit.layers._reproducible_random import random_bits


class Draws:
    """Draws numbers in [0, 1), by a seed and the number of draws before, which is saved.

    Args:
        seed: The seed; `None` for 0.
        add_weight: Adds a variable to a layer or model.
        name: Name of the variable.
    """

    def __init__(self, seed: int | None, add_weight: Callable[..., Any], name: str) -> None:
        self._seed = seed or 0
        self._draws = add_weight(
            name=name,
            shape=(),
            initializer="zeros",
            trainable=False,
            dtype="int32",
            autocast=False,
        )

    def next(self, shape: tuple[Any, ...]) -> Any:
        """Draws numbers of a shape, float32."""
        drawn = self.look(shape)
        self.advance()
        return drawn

    def advance(self) -> None:
        """Goes on to the next draw."""
        self._draws.assign(self._draws + 1)

    @classmethod
    def of(cls, method: Any, shape: Any, add_weight: Callable[..., Any], name: str) -> Draws | None:
        """The draws of a method with its seed; `None` where its random numbers have no shape."""
        return None if shape is None else cls(getattr(method, "seed", None), add_weight, name)

    def copy_to(self, other: Draws | None) -> None:
        """Lets others, if there are any, go on where these are."""
        if other is not None:
            other._draws.assign(ops.convert_to_numpy(self._draws))

    def look(self, shape: tuple[Any, ...]) -> Any:
        """What the next draw is, which it stays."""
        bits = random_bits(shape, ops.convert_to_tensor(self._draws), self._seed)
        # Of 24 bits, which float32 holds, so that no number is rounded up to 1.
        return ops.cast(ops.right_shift(bits, 7), "float32") * 2.0**-24
