"""From where on an effect matters, and whether it does."""

from __future__ import annotations

from mtlkit.diagnostics.evidence import Status
from mtlkit.diagnostics.thresholds import LEAST_EFFECT, LEAST_SHARE


def least_effect(chance: float, ceiling: float) -> float:
    """From where on an effect on a score matters."""
    return max(LEAST_EFFECT, LEAST_SHARE * (ceiling - chance))


def status_of(interval: tuple[float, float], threshold: float) -> Status:
    """Whether an effect lies beyond a threshold: `"found"`, `"absent"` or `"unclear"`."""
    low, high = interval
    return "found" if low > threshold else "absent" if high < threshold else "unclear"


def way_of(skill: float, metric: str) -> float:
    """How far a skill is from the best guess to perfection.

    A model of values that halves the mean absolute error explains three quarters of the variance.
    So their errors are squared before they are compared.
    """
    return 1 - (1 - min(skill, 1)) ** 2 if metric == "mae" else skill
