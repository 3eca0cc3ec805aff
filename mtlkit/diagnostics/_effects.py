"""From where on an effect matters, and whether it does."""

from __future__ import annotations

from mtlkit.diagnostics.evidence import Status

#: How unlikely luck must be before a probe speaks of an effect, after correction for all looks.
ALPHA = 0.01
#: No effect below two points is worth a user's time.
LEAST_EFFECT = 0.02
#: Nor is one below a tenth of what can be learned at all, the way from chance to the ceiling.
LEAST_SHARE = 0.1


def least_effect(chance: float, ceiling: float) -> float:
    """From where on an effect on a score matters."""
    return max(LEAST_EFFECT, LEAST_SHARE * (ceiling - chance))


def status_of(interval: tuple[float, float], threshold: float) -> Status:
    """Whether an effect lies beyond a threshold: `"found"`, `"absent"` or `"unclear"`."""
    low, high = interval
    return "found" if low > threshold else "absent" if high < threshold else "unclear"
