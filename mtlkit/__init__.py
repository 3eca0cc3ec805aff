"""Pluggable parts for multi-task learning in Keras 3.

Heads, gradient gates, backbones, and a `MultiTaskModel` that assembles them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mtlkit import backbones, balancing, callbacks, heads, layers, losses, metrics, space
from mtlkit.hierarchy import Hierarchy
from mtlkit.model import MultiTaskModel
from mtlkit.model.task import Task

if TYPE_CHECKING:
    from mtlkit import datasets, diagnostics, reports, search, testing

__version__ = "0.2.0"

__all__ = [
    "Hierarchy",
    "MultiTaskModel",
    "Task",
    "backbones",
    "balancing",
    "callbacks",
    "datasets",
    "diagnostics",
    "heads",
    "layers",
    "losses",
    "metrics",
    "reports",
    "search",
    "space",
    "testing",
]


# Rooms that saved models do not need are imported where they are used.
_ROOMS = ("datasets", "diagnostics", "reports", "search", "testing")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"mtlkit.{name}")
    raise AttributeError(f"module 'mtlkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_ROOMS]
