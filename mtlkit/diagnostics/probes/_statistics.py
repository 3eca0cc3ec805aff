"""Thresholds and tests that probes share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: How unlikely luck must be before a probe speaks of an effect, after correction for all looks.
ALPHA = 0.01
#: No effect below two points is worth a user's time.
LEAST_EFFECT = 0.02
#: Nor is one below a tenth of what can be learned at all, the way from chance to the ceiling.
LEAST_SHARE = 0.1


def least_effect(chance: float, ceiling: float) -> float:
    """From where on an effect on a score matters."""
    return max(LEAST_EFFECT, LEAST_SHARE * (ceiling - chance))


def p_better(first: NDArray, second: NDArray) -> float:
    """How likely luck alone makes one of two paired scores at least so much the better."""
    from scipy.stats import binomtest, ttest_1samp

    difference = np.asarray(first, "float64") - np.asarray(second, "float64")
    wins, losses = int((difference > 0).sum()), int((difference < 0).sum())
    if wins + losses == 0:
        return 1.0
    if first.dtype == bool and second.dtype == bool:
        return float(binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue)
    if np.ptp(difference) == 0:
        return float(difference[0] <= 0)
    return float(ttest_1samp(difference, 0.0, alternative="greater").pvalue)


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Corrects p-values for several looks, by Holm's method."""
    given = np.asarray(p_values, "float64")
    order = np.argsort(given)
    looks = np.arange(len(given), 0, -1)
    corrected = np.empty_like(given)
    corrected[order] = np.minimum(np.maximum.accumulate(given[order] * looks), 1.0)
    return corrected
