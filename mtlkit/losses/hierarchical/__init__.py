"""Losses for labels in a hierarchy: classes, or groups where no more is known."""

from mtlkit.losses.hierarchical.coarse_to_fine import CoarseToFineCrossEntropy
from mtlkit.losses.hierarchical.conditional import ConditionalCrossEntropy
from mtlkit.losses.hierarchical.frame import FrameCrossEntropy
from mtlkit.losses.hierarchical.hxe import HierarchicalCrossEntropy
from mtlkit.losses.hierarchical.marginal import MarginalCrossEntropy
from mtlkit.losses.hierarchical.schedule import LevelWeightSchedule, coarse_to_fine_stages
from mtlkit.losses.hierarchical.soft_labels import SoftLabelCrossEntropy, soft_tree_labels

__all__ = [
    "CoarseToFineCrossEntropy",
    "ConditionalCrossEntropy",
    "FrameCrossEntropy",
    "HierarchicalCrossEntropy",
    "LevelWeightSchedule",
    "MarginalCrossEntropy",
    "SoftLabelCrossEntropy",
    "coarse_to_fine_stages",
    "soft_tree_labels",
]
