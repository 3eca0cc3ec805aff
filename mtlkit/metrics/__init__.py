"""Metrics: circular ones, masked for missing labels, and skill against a baseline."""

from mtlkit.losses.distances import circular_distance
from mtlkit.metrics.circular import CircularAccuracy, CircularMeanAbsoluteError
from mtlkit.metrics.masked import LabelledMean, MaskedMetric
from mtlkit.metrics.ordinal import OrdinalAccuracy, OrdinalMeanAbsoluteError
from mtlkit.metrics.skill import Skill, accuracy_skill, mae_skill, skill_table

__all__ = [
    "CircularAccuracy",
    "CircularMeanAbsoluteError",
    "LabelledMean",
    "MaskedMetric",
    "OrdinalAccuracy",
    "OrdinalMeanAbsoluteError",
    "Skill",
    "accuracy_skill",
    "circular_distance",
    "mae_skill",
    "skill_table",
]
