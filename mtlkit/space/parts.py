"""What an argument may be: the parts of a search space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlkit._counts import is_real
from mtlkit.space._values import has_stable_text, text_of


@dataclass(frozen=True)
class Choice:
    """One of a few values.

    Args:
        values: The values, at least one, without repetition. Objects such as Keras's losses
            and layers are told apart by their config.

    Raises:
        ValueError: If there is no value, one stands twice, or one cannot be told apart from
            others in another process, such as a lambda, or a layer without `get_config`.

    Example:
        ```python
        from mtlkit.space import Choice

        assert Choice([32, 64]).values == (32, 64)
        ```
    """

    values: Sequence[Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        unstable = [value for value in self.values if not has_stable_text(value)]
        if unstable:
            raise ValueError(
                "Expected values that are the same in every process: plain ones, functions of a "
                f"module, or objects with a get_config. Received: {unstable[0]!r}"
            )
        if not self.values or len(set(map(text_of, self.values))) < len(self.values):
            raise ValueError(f"Expected different values, at least one. Received: {self.values}")

    def sample(self, rng: np.random.Generator) -> Any:
        """Draws a value uniformly."""
        return self.values[int(rng.integers(len(self.values)))]

    def grid(self, resolution: int) -> list[Any]:
        """Lists the values; `resolution` is for `Float` alone."""
        return list(self.values)

    def __contains__(self, value: Any) -> bool:
        return any(same(value, one) for one in self.values)


@dataclass(frozen=True)
class Int:
    """A whole number from `low` to `high`, both included.

    Args:
        low: The smallest value.
        high: The largest value.
        step: The distance of neighbouring values.

    Raises:
        ValueError: If `low > high` or `step < 1`.

    Example:
        ```python
        from mtlkit.space import Int

        layers = Int(1, 4)
        ```
    """

    low: int
    high: int
    step: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high or self.step < 1:
            raise ValueError(f"Expected low <= high and step >= 1. Received: {self}")

    def sample(self, rng: np.random.Generator) -> int:
        """Draws a value uniformly."""
        values = self.grid(0)
        return values[int(rng.integers(len(values)))]

    def grid(self, resolution: int) -> Sequence[int]:
        """Lists the values; `resolution` is for `Float` alone."""
        return range(self.low, self.high + 1, self.step)

    def __contains__(self, value: Any) -> bool:
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        return whole and self.low <= value <= self.high and (value - self.low) % self.step == 0


@dataclass(frozen=True)
class Float:
    """A real number from `low` to `high`.

    Args:
        low: The smallest value.
        high: The largest value.
        log: Whether to search on a logarithmic scale.

    Raises:
        ValueError: If `low > high`, a bound is not finite, or `log` comes with `low <= 0`.

    Example:
        ```python
        from mtlkit.space import Float

        learning_rate = Float(1e-4, 1e-2, log=True)
        ```
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        if not finite or self.low > self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"Expected finite low <= high, and low > 0 where log=True. Received: {self}"
            )

    def sample(self, rng: np.random.Generator) -> float:
        """Draws a value uniformly, on the scale of the space."""
        if self.log:
            value = np.exp(rng.uniform(np.log(self.low), np.log(self.high)))
            return float(np.clip(value, self.low, self.high))  # exp(log(x)) is not quite x
        return float(rng.uniform(self.low, self.high))

    def grid(self, resolution: int) -> list[float]:
        """Lists `resolution` values from `low` to `high`, evenly on the scale of the space."""
        if self.low == self.high:
            return [float(self.low)]
        spaced = np.geomspace if self.log else np.linspace
        values = np.clip(spaced(self.low, self.high, resolution), self.low, self.high)
        return [float(value) for value in values]

    def __contains__(self, value: Any) -> bool:
        return is_real(value) and self.low <= value <= self.high


@dataclass(frozen=True)
class Boolean:
    """True or false.

    Example:
        ```python
        from mtlkit.space import Boolean

        use_position = Boolean()
        ```
    """

    def sample(self, rng: np.random.Generator) -> bool:
        """Draws a value uniformly."""
        return bool(rng.integers(2))

    def grid(self, resolution: int) -> list[bool]:
        """Lists the values; `resolution` is for `Float` alone."""
        return [False, True]

    def __contains__(self, value: Any) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True)
class Fixed:
    """A value that is not searched.

    Args:
        value: The value.

    Example:
        ```python
        from mtlkit.space import Fixed

        num_bins = Fixed(32)
        ```
    """

    value: Any

    def sample(self, rng: np.random.Generator) -> Any:
        """Returns the value."""
        return self.value

    def grid(self, resolution: int) -> list[Any]:
        """Lists the value; `resolution` is for `Float` alone."""
        return [self.value]

    def __contains__(self, value: Any) -> bool:
        return same(value, self.value)


@dataclass(frozen=True)
class When:
    """A part of the space that exists only where another argument has certain values.

    Args:
        parent: Name of the other argument, which stands earlier in the space.
        values: A value of the parent, or a list of them. A tuple is taken for a list: put one
            that is a value into a list, `[(16, 32)]`.
        space: What the argument may be there. Elsewhere it is left out.

    Example:
        ```python
        from mtlkit.space import Int, When

        num_radii = When("spatial", "polar", Int(4, 16))
        ```
    """

    parent: str
    values: Any
    space: Choice | Int | Float | Boolean | Fixed

    def __post_init__(self) -> None:
        if not isinstance(self.space, VALUES):
            raise ValueError(
                "Expected space to be a Choice, Int, Float, Boolean or Fixed. "
                f"Received: space={self.space!r}"
            )
        values = self.values if isinstance(self.values, list | tuple) else (self.values,)
        object.__setattr__(self, "values", tuple(values))


#: The parts that are values, whatever other arguments are.
VALUES = (Choice, Int, Float, Boolean, Fixed)


def same(value: Any, other: Any) -> bool:
    """Whether two values are the same, where 1, 1.0 and True are three."""
    return value is other or text_of(value) == text_of(other)
