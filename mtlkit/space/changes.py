"""Spaces made from spaces: with a user's values and ranges, and without what is settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtlkit.space.parts import VALUES, Boolean, Fixed, When, same
from mtlkit.space.points import Space, check_space


def override(space: Space, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a space with some arguments fixed or given other ranges.

    Args:
        space: The space, by argument name.
        changes: For each argument to be changed a value, which fixes it, or a part, which is its
            new range. Where an argument has a condition, that stays, unless the change is a
            `When` itself. Arguments that the space lacks are added.

    Returns:
        The new space. What was left out of `changes` is as before.

    Raises:
        ValueError: If a `When` names a parent that does not stand before it.

    Example:
        ```python
        from mtlkit.space import Choice, Fixed, Float, override

        space = {"pooling": Choice(["average", "max"]), "dropout": Float(0.0, 0.5)}
        changed = override(space, {"pooling": "max", "dropout": Float(0.2, 0.3)})
        assert changed == {"pooling": Fixed("max"), "dropout": Float(0.2, 0.3)}
        ```
    """
    changed = dict(space)
    for name, change in changes.items():
        part = change if isinstance(change, (*VALUES, When)) else Fixed(change)
        old = space.get(name)
        if isinstance(old, When) and not isinstance(part, When):
            part = When(old.parent, old.values, part)
        changed[name] = part
    check_space(changed)
    return changed


def settled(space: Space) -> dict[str, Any]:
    """Returns an equal space in its plainest form.

    Ranges of one value become `Fixed`, conditions on a fixed argument are decided, and what
    can never be is left out.

    Args:
        space: The space, by argument name.

    Returns:
        The new space, with the same points.

    Raises:
        ValueError: If a `When` names a parent that does not stand before it.

    Example:
        ```python
        from mtlkit.space import Choice, Fixed, Int, When, settled

        space = {
            "pooling": Choice(["max"]),
            "width": When("pooling", "max", Int(1, 3)),
            "queries": When("pooling", "attention", Int(1, 8)),
        }
        assert settled(space) == {"pooling": Fixed("max"), "width": Int(1, 3)}
        ```
    """
    check_space(space)
    plain: dict[str, Any] = {}
    for name, part in space.items():
        condition = part if isinstance(part, When) else None
        value = _settled_value(part.space if isinstance(part, When) else part)
        if condition is None:
            plain[name] = value
            continue
        if condition.parent not in plain:
            continue
        parent = plain[condition.parent]
        possible = parent.space if isinstance(parent, When) else parent
        values = [v for v in condition.values if v in possible]
        if not values:
            continue
        always = all(any(same(v, one) for one in values) for v in possible.grid(2))
        if not always:
            plain[name] = When(condition.parent, values, value)
        elif isinstance(parent, When):  # wherever the parent is
            plain[name] = When(parent.parent, parent.values, value)
        else:
            plain[name] = value
    return plain


def _settled_value(part: Any) -> Any:
    if isinstance(part, Fixed | Boolean):
        return part
    values = part.grid(2)
    return Fixed(values[0]) if len(values) == 1 else part
