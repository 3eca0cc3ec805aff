"""Declared search spaces: data only, known to no tuner.

A space maps the names of a constructor's arguments to what they may be:

```python
from mtlkit.space import Choice, Float, When

space = {
    "pooling": Choice(["average", "attention"]),
    "num_queries": When("pooling", "attention", Choice([1, 4, 8])),
    "dropout": Float(0.0, 0.5),
}
```
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Choice:
    """One of a few values.

    Args:
        values: The values, at least one, without repetition.

    Raises:
        ValueError: If there is no value, or one stands twice.

    Example:
        ```python
        from mtlkit.space import Choice

        assert Choice([32, 64]).values == (32, 64)
        ```
    """

    values: Sequence[Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values or len(set(map(repr, self.values))) < len(self.values):
            raise ValueError(f"Expected different values, at least one. Received: {self.values}")

    def sample(self, rng: np.random.Generator) -> Any:
        """Draws a value uniformly."""
        return self.values[int(rng.integers(len(self.values)))]


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
        return int(rng.choice(np.arange(self.low, self.high + 1, self.step)))


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


@dataclass(frozen=True)
class When:
    """A part of the space that exists only where another argument has certain values.

    Args:
        parent: Name of the other argument, which stands earlier in the space.
        values: A value of the parent, or a list of them.
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
        values = self.values if isinstance(self.values, list | tuple) else (self.values,)
        object.__setattr__(self, "values", tuple(values))


def sample(space: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Draws a point of a space.

    Args:
        space: The space, by argument name.
        rng: The source of randomness.

    Returns:
        The drawn arguments; those whose `When` does not hold are left out.

    Raises:
        ValueError: If a `When` names a parent that does not stand before it.

    Example:
        ```python
        import numpy as np
        from mtlkit.space import Choice, Float, When, sample

        space = {"a": Choice(["x", "y"]), "b": When("a", "x", Float(0, 1))}
        point = sample(space, np.random.default_rng(0))
        assert ("b" in point) == (point["a"] == "x")
        ```
    """
    point: dict[str, Any] = {}
    for name, part in space.items():
        if isinstance(part, When):
            if part.parent not in list(space)[: list(space).index(name)]:
                raise ValueError(
                    f"Expected {name!r} to depend on an argument before it. "
                    f"Received: parent={part.parent!r}, space={list(space)}"
                )
            if part.parent not in point or point[part.parent] not in part.values:
                continue
            part = part.space
        point[name] = part.sample(rng)
    return point
