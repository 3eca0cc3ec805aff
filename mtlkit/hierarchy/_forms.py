"""The forms in which a hierarchy may be given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtlkit.hierarchy.tree import Hierarchy


def as_hierarchy(value: Any) -> Hierarchy:
    """Reads a hierarchy in any of its forms."""
    if isinstance(value, Hierarchy):
        return value
    if isinstance(value, Mapping) and value.get("class_name") == "Hierarchy":
        value = value["config"]
    if isinstance(value, Mapping) and set(value) == {"parents", "names", "stability"}:
        return Hierarchy.from_config(value)
    if isinstance(value, Mapping):
        return Hierarchy.from_groups(value)
    raise ValueError(
        "Expected a mtlkit.Hierarchy, its configuration, or groups as a dict. "
        f"Received: hierarchy={value!r}"
    )
