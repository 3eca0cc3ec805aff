"""A space in words."""

from __future__ import annotations

from typing import Any

from mtlkit.space.parts import Boolean, Choice, Fixed, Float, Int, When
from mtlkit.space.points import Space, check_space


def describe(space: Space) -> str:
    """Describes a space, one line an argument.

    Args:
        space: The space, by argument name.

    Returns:
        The lines, as text.

    Raises:
        ValueError: If a `When` names a parent that does not stand before it.

    Example:
        ```python
        from mtlkit.heads import ClassificationHead
        from mtlkit.space import describe

        print(describe(ClassificationHead.search_space()))
        ```
    """
    check_space(space)
    width = max(map(len, space), default=0)
    return "\n".join(f"{name:<{width}}  {_described(part)}" for name, part in space.items())


def _described(part: Any) -> str:
    if isinstance(part, When):
        values = " or ".join(map(str, part.values))
        return f"{_described(part.space)}, where {part.parent} is {values}"
    if isinstance(part, Choice):
        return "one of " + ", ".join(map(str, part.values))
    if isinstance(part, Int):
        step = f" in steps of {part.step}" if part.step > 1 else ""
        return f"whole number from {part.low} to {part.high}{step}"
    if isinstance(part, Float):
        scale = ", on a logarithmic scale" if part.log else ""
        return f"number from {part.low:g} to {part.high:g}{scale}"
    if isinstance(part, Boolean):
        return "true or false"
    assert isinstance(part, Fixed)
    return f"always {part.value}"
