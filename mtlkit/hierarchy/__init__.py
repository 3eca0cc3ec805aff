"""Hierarchies of classes: trees over the leaves, and groups on a circle."""

from mtlkit.hierarchy.circle import circular_arcs, circular_distances
from mtlkit.hierarchy.frames import frame, frame_similarity
from mtlkit.hierarchy.tree import Hierarchy

__all__ = ["Hierarchy", "circular_arcs", "circular_distances", "frame", "frame_similarity"]
