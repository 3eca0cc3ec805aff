"""Confidence intervals of differences."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

#: Coverage of the intervals of all probes.
CONFIDENCE = 0.95


def mean_interval(values: ArrayLike, comparisons: int = 1) -> tuple[float, tuple[float, float]]:
    """The mean of some values, and its t-interval.

    Of paired differences, sample by sample or seed by seed, it is the paired interval.

    Args:
        values: The values.
        comparisons: Of how many comparisons this one is the best (Bonferroni's correction).

    Returns:
        The mean, and the ends of its 95 % interval; infinite ends for a single value.

    Example:
        ```python
        from mtlkit.diagnostics.probes.intervals import mean_interval

        mean, (low, high) = mean_interval([0.1, 0.2, 0.3])
        assert low < mean < high
        ```
    """
    from scipy.stats import t

    values = np.asarray(values, "float64").reshape(-1)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, (-np.inf, np.inf)
    quantile = t.ppf(1 - (1 - CONFIDENCE) / (2 * comparisons), len(values) - 1)
    half = float(quantile * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, (mean - half, mean + half)


def status_of(interval: tuple[float, float], threshold: float) -> str:
    """Whether an effect lies beyond a threshold: `"found"`, `"absent"` or `"unclear"`.

    Args:
        interval: The interval of the effect.
        threshold: From where on it matters.

    Returns:
        The status.
    """
    low, high = interval
    return "found" if low > threshold else "absent" if high < threshold else "unclear"
