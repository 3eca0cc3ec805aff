"""Balancing of tasks that share a backbone: weights of losses, and how gradients are combined."""

from typing import TYPE_CHECKING, Any

from mtlkit.balancing._names import get
from mtlkit.balancing.aggregation import (
    IMTLG,
    MGDA,
    Aggregator,
    AlignedMTL,
    CAGrad,
    ConFIG,
    DualProj,
    FairGrad,
    GradDrop,
    GradNorm,
    GradVac,
    GramianAggregator,
    Mean,
    NashMTL,
    PCGrad,
    Sum,
    UPGrad,
)
from mtlkit.balancing.fan_out import FanOut
from mtlkit.balancing.scalarization import (
    FAMO,
    DynamicWeightAverage,
    EqualWeighting,
    FixedWeighting,
    GeometricMeanWeighting,
    ImpartialLossWeighting,
    LogWeighting,
    LossWeighting,
    RandomWeighting,
    SmoothTchebycheff,
    SoftOptimalUncertaintyWeighting,
    UncertaintyWeighting,
)

if TYPE_CHECKING:
    from mtlkit.callbacks.interference_monitor import InterferenceMonitor

__all__ = [
    "FAMO",
    "IMTLG",
    "MGDA",
    "Aggregator",
    "AlignedMTL",
    "CAGrad",
    "ConFIG",
    "DualProj",
    "DynamicWeightAverage",
    "EqualWeighting",
    "FairGrad",
    "FanOut",
    "FixedWeighting",
    "GeometricMeanWeighting",
    "GradDrop",
    "GradNorm",
    "GradVac",
    "GramianAggregator",
    "ImpartialLossWeighting",
    "InterferenceMonitor",
    "LogWeighting",
    "LossWeighting",
    "Mean",
    "NashMTL",
    "PCGrad",
    "RandomWeighting",
    "SmoothTchebycheff",
    "SoftOptimalUncertaintyWeighting",
    "Sum",
    "UPGrad",
    "UncertaintyWeighting",
    "get",
]


def __getattr__(name: str) -> Any:
    if name == "InterferenceMonitor":  # it looks into models, which are made of this room
        from mtlkit.callbacks.interference_monitor import InterferenceMonitor

        return InterferenceMonitor
    raise AttributeError(f"module 'mtlkit.balancing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
