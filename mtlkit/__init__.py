"""Pluggable parts for multi-task learning in Keras 3.

Heads, gradient gates, backbones, and a `MultiTaskModel` that assembles them.
"""

from mtlkit import backbones, datasets, heads, layers, losses, metrics, reports, space, testing
from mtlkit.hierarchy import Hierarchy
from mtlkit.model import MultiTaskModel
from mtlkit.tasks import Task

__version__ = "0.1.0"

__all__ = [
    "Hierarchy",
    "MultiTaskModel",
    "Task",
    "backbones",
    "datasets",
    "heads",
    "layers",
    "losses",
    "metrics",
    "reports",
    "space",
    "testing",
]
