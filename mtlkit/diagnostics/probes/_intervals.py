"""Confidence intervals, and what they tell of an effect."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

#: Coverage of the intervals of all probes.
CONFIDENCE = 0.95
#: Redraws of a bootstrap: enough for the ends of such an interval.
_DRAWS = 1000
#: Values redrawn at once, so that memory stays small.
_CHUNK = 2_000_000


def mean_interval(values: ArrayLike, comparisons: int = 1) -> tuple[float, tuple[float, float]]:
    """The mean of some values, and its t-interval.

    Of paired differences, sample by sample or seed by seed, it is the paired interval.
    """
    from scipy.stats import t

    values = np.asarray(values, "float64").reshape(-1)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, (-np.inf, np.inf)
    quantile = t.ppf(1 - (1 - CONFIDENCE) / (2 * comparisons), len(values) - 1)
    half = float(quantile * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, (mean - half, mean + half)


def bootstrap_interval(values: ArrayLike, seed: int = 0) -> tuple[float, float]:
    """The bootstrap interval of a mean; of paired differences it is the paired interval."""
    values = np.asarray(values, "float64")
    rng, samples = np.random.default_rng(seed), len(values)
    rows = max(1, _CHUNK // samples)
    means = np.concatenate(
        [
            values[rng.integers(samples, size=(min(rows, _DRAWS - start), samples))].mean(axis=1)
            for start in range(0, _DRAWS, rows)
        ]
    )
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def share_interval(count: int, samples: int) -> tuple[float, float]:
    """Wilson's interval of a share."""
    from scipy.stats import binomtest

    if samples == 0:
        return 0.0, 1.0
    interval = binomtest(int(count), int(samples)).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def status_of(interval: tuple[float, float], threshold: float) -> str:
    """Whether an effect lies beyond a threshold: `"found"`, `"absent"` or `"unclear"`."""
    low, high = interval
    return "found" if low > threshold else "absent" if high < threshold else "unclear"
