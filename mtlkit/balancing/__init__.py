"""Balancing of tasks that share a backbone: weights of losses, and how gradients are combined."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mtlkit.balancing._names import get
from mtlkit.balancing.aggregation import (
    DBMTL,
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
    LossDiscrepancyControl,
    LossWeighting,
    RandomWeighting,
    SmoothTchebycheff,
    SoftOptimalUncertaintyWeighting,
    UncertaintyWeighting,
)

if TYPE_CHECKING:
    from mtlkit.balancing.comparison.compare import compare
    from mtlkit.balancing.comparison.result import Comparison
    from mtlkit.callbacks.interference_monitor import InterferenceMonitor

__all__ = [
    "DBMTL",
    "FAMO",
    "IMTLG",
    "MGDA",
    "Aggregator",
    "AlignedMTL",
    "CAGrad",
    "Comparison",
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
    "LossDiscrepancyControl",
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
    "compare",
    "get",
]

# A comparison and a monitor look into models, so they lie above the room `model`, which imports
# this one: they are imported where they are used.
_ABOVE = {
    "Comparison": "mtlkit.balancing.comparison",
    "InterferenceMonitor": "mtlkit.callbacks.interference_monitor",
    "compare": "mtlkit.balancing.comparison",
}


def __getattr__(name: str) -> Any:
    if name in _ABOVE:
        return getattr(import_module(_ABOVE[name]), name)
    raise AttributeError(f"module 'mtlkit.balancing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_ABOVE]
