"""Points of a space: drawn, listed, counted and checked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mtlkit.space.parts import Boolean, Choice, Fixed, Float, Int, When, same

#: A space: what each argument may be.
Space = Mapping[str, "Choice | Int | Float | Boolean | Fixed | When"]


def holds(part: Any, point: Mapping[str, Any]) -> bool:
    """Whether an argument exists where those before it are as in `point`."""
    if not isinstance(part, When):
        return True
    return part.parent in point and any(same(point[part.parent], v) for v in part.values)


def value_of(part: Any) -> Any:
    """The part of a space that an argument is, where it exists: what is behind a `When`."""
    return part.space if isinstance(part, When) else part


def sample(space: Space, rng: np.random.Generator) -> dict[str, Any]:
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
    check_space(space)
    point: dict[str, Any] = {}
    for name, part in space.items():
        if holds(part, point):
            point[name] = value_of(part).sample(rng)
    return point


def points(space: Space, resolution: int = 3) -> Iterator[dict[str, Any]]:
    """Lists the points of a space, each once.

    Args:
        space: The space, by argument name.
        resolution: How many values of each `Float` to list, its bounds among them; at least 2.

    Yields:
        The arguments; those whose `When` does not hold are left out.

    Raises:
        ValueError: If a `When` names a parent that does not stand before it, or
            `resolution < 2`.

    Example:
        ```python
        from mtlkit.space import Boolean, Choice, When, points

        space = {"a": Choice(["x", "y"]), "b": When("a", "x", Boolean())}
        listed = [{"a": "x", "b": False}, {"a": "x", "b": True}, {"a": "y"}]
        assert list(points(space)) == listed
        ```
    """
    _check_resolution(resolution)
    check_space(space)
    names = list(space)

    def extended(point: dict[str, Any], index: int) -> Iterator[dict[str, Any]]:
        if index == len(names):
            yield point
            return
        name = names[index]
        if not holds(space[name], point):
            yield from extended(point, index + 1)
            return
        for value in value_of(space[name]).grid(resolution):
            yield from extended({**point, name: value}, index + 1)

    return extended({}, 0)


def count(space: Space, resolution: int | None = None) -> float:
    """Counts the points of a space.

    Args:
        space: The space, by argument name.
        resolution: How many values of each `Float` count, as in `points`. `None`: infinitely
            many, unless its bounds are equal.

    Returns:
        The number of points, an int; or `math.inf`.

    Raises:
        ValueError: If a `When` names a parent that does not stand before it, or
            `resolution < 2`.

    Example:
        ```python
        import math

        from mtlkit.space import Choice, Float, count

        space = {"layers": Choice([1, 2]), "dropout": Float(0.0, 0.5)}
        assert count(space) == math.inf
        assert count(space, resolution=3) == 6
        ```
    """
    if resolution is not None:
        _check_resolution(resolution)
    check_space(space)
    parents = {part.parent for part in space.values() if isinstance(part, When)}
    # Points that agree in all parents have the same number of continuations: they are counted
    # together, by the values of the parents alone.
    groups: list[tuple[dict[str, Any], float]] = [({}, 1)]
    for name, part in space.items():
        grown: list[tuple[dict[str, Any], float]] = []
        for point, number in groups:
            if not holds(part, point):
                grown.append((point, number))
            elif name in parents:
                values = value_of(part).grid(2)
                grown.extend(({**point, name: value}, number) for value in values)
            else:
                grown.append((point, number * _size(value_of(part), resolution)))
        groups = grown
    return sum(number for _, number in groups)


def check_point(space: Space, point: Mapping[str, Any]) -> None:
    """Checks that a point is one of a space.

    Args:
        space: The space, by argument name.
        point: The arguments.

    Raises:
        ValueError: If an argument is missing, unknown, out of range, or should be left out.

    Example:
        ```python
        from mtlkit.space import Choice, check_point

        check_point({"a": Choice(["x", "y"])}, {"a": "x"})
        ```
    """
    check_space(space)
    expected: dict[str, Any] = {}
    for name, part in space.items():
        if holds(part, expected):
            expected[name] = point.get(name)
    if set(expected) != set(point):
        raise ValueError(f"Expected the arguments {list(expected)}. Received: {list(point)}")
    for name in expected:
        part = value_of(space[name])
        if point[name] not in part:
            raise ValueError(f"Expected {name} to be in {part}. Received: {name}={point[name]!r}")


def check_space(space: Space) -> None:
    """Checks that all parts are parts, and that parents stand before their children.

    Args:
        space: The space, by argument name.

    Raises:
        ValueError: If something else stands for a part, or a `When` names a parent that does
            not stand before it, or is a `Float`.

    Example:
        ```python
        from mtlkit.space import Boolean, Int, When, check_space

        check_space({"a": Boolean(), "b": When("a", True, Int(1, 3))})
        ```
    """
    before: set[str] = set()
    for name, part in space.items():
        if not isinstance(part, Choice | Int | Float | Boolean | Fixed | When):
            raise ValueError(
                f"Expected {name!r} to be a Choice, Int, Float, Boolean, Fixed or When. "
                f"Received: {name}={part!r}"
            )
        if isinstance(part, When):
            if part.parent not in before:
                raise ValueError(
                    f"Expected {name!r} to depend on an argument before it. "
                    f"Received: parent={part.parent!r}, space={list(space)}"
                )
            if isinstance(value_of(space[part.parent]), Float):
                raise ValueError(
                    f"Expected {name!r} to depend on an argument of separate values, not a Float. "
                    f"Received: parent={part.parent!r}"
                )
        before.add(name)


def _check_resolution(resolution: int) -> None:
    if resolution < 2:
        raise ValueError(f"Expected resolution >= 2. Received: resolution={resolution}")


def _size(part: Any, resolution: int | None) -> float:
    if isinstance(part, Float) and part.low < part.high:
        return math.inf if resolution is None else resolution
    return len(part.grid(2))
