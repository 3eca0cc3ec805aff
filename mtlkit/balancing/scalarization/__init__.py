"""Scalarization: from the losses of several tasks to the loss that is trained."""

from mtlkit.balancing.scalarization.dynamic_weight_average import DynamicWeightAverage
from mtlkit.balancing.scalarization.equal import EqualWeighting, FixedWeighting
from mtlkit.balancing.scalarization.famo import FAMO
from mtlkit.balancing.scalarization.impartial import ImpartialLossWeighting
from mtlkit.balancing.scalarization.logarithmic import GeometricMeanWeighting, LogWeighting
from mtlkit.balancing.scalarization.loss_discrepancy import LossDiscrepancyControl
from mtlkit.balancing.scalarization.loss_weighting import LossWeighting
from mtlkit.balancing.scalarization.random_weighting import RandomWeighting
from mtlkit.balancing.scalarization.smooth_tchebycheff import SmoothTchebycheff
from mtlkit.balancing.scalarization.uncertainty import (
    SoftOptimalUncertaintyWeighting,
    UncertaintyWeighting,
)

__all__ = [
    "FAMO",
    "DynamicWeightAverage",
    "EqualWeighting",
    "FixedWeighting",
    "GeometricMeanWeighting",
    "ImpartialLossWeighting",
    "LogWeighting",
    "LossDiscrepancyControl",
    "LossWeighting",
    "RandomWeighting",
    "SmoothTchebycheff",
    "SoftOptimalUncertaintyWeighting",
    "UncertaintyWeighting",
]
