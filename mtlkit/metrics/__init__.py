"""Metrics: circular ones, masked for missing labels, and skill against a baseline."""

from mtlkit.losses._distances import circular_distance
from mtlkit.metrics.circular import CircularAccuracy, CircularMeanAbsoluteError
from mtlkit.metrics.class_metric import ClassMetric
from mtlkit.metrics.hierarchical import (
    HierarchicalDistance,
    LevelAccuracy,
    MistakeSeverity,
    full_path_accuracy,
    path_consistency,
)
from mtlkit.metrics.kappa import QuadraticKappa
from mtlkit.metrics.masked import LabelledMean, MaskedMetric
from mtlkit.metrics.mean_iou import MeanIoU
from mtlkit.metrics.multi_label import LabelAccuracy, MeanAveragePrecision
from mtlkit.metrics.ordinal import OrdinalAccuracy, OrdinalMeanAbsoluteError
from mtlkit.metrics.relative_error import RelativeError
from mtlkit.metrics.retrieval import (
    map_at_r,
    nearest_neighbour_distance,
    r_precision,
    recall_at_k,
    retrieval_scores,
)
from mtlkit.metrics.skill import Skill, accuracy_skill, mae_skill, skill_table
from mtlkit.metrics.sliced import SlicedMetric

__all__ = [
    "CircularAccuracy",
    "CircularMeanAbsoluteError",
    "ClassMetric",
    "HierarchicalDistance",
    "LabelAccuracy",
    "LabelledMean",
    "LevelAccuracy",
    "MaskedMetric",
    "MeanAveragePrecision",
    "MeanIoU",
    "MistakeSeverity",
    "OrdinalAccuracy",
    "OrdinalMeanAbsoluteError",
    "QuadraticKappa",
    "RelativeError",
    "Skill",
    "SlicedMetric",
    "accuracy_skill",
    "circular_distance",
    "full_path_accuracy",
    "mae_skill",
    "map_at_r",
    "nearest_neighbour_distance",
    "path_consistency",
    "r_precision",
    "recall_at_k",
    "retrieval_scores",
    "skill_table",
]
