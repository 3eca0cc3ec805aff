"""Intervals, thresholds and tests that probes share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Coverage of the intervals.
CONFIDENCE = 0.95
#: How unlikely luck must be before a probe speaks of an effect, after correction for all looks.
ALPHA = 0.01
#: No effect below two points is worth a user's time.
LEAST_EFFECT = 0.02
#: Nor is one below a tenth of what can be learned at all, the way from chance to the ceiling.
LEAST_SHARE = 0.1
#: Redraws of a bootstrap: enough for the ends of a 95 % interval.
_DRAWS = 1000
#: Values redrawn at once, so that memory stays small.
_CHUNK = 2_000_000


def least_effect(chance: float, ceiling: float) -> float:
    """From where on an effect on a score matters.

    Args:
        chance: The score of a guess.
        ceiling: The best score that was seen.

    Returns:
        Two points, or a tenth of the way from chance to the ceiling if that is more.

    Example:
        ```python
        from mtlkit.diagnostics.probes.statistics import least_effect

        assert least_effect(0.03, 0.05) == 0.02
        assert abs(least_effect(0.25, 0.85) - 0.06) < 1e-9
        ```
    """
    return max(LEAST_EFFECT, LEAST_SHARE * (ceiling - chance))


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


def bootstrap_interval(values: ArrayLike, seed: int = 0) -> tuple[float, float]:
    """The bootstrap interval of a mean; of paired differences it is the paired interval.

    Args:
        values: One value for each sample.
        seed: Seed of the redraws.

    Returns:
        The ends of the interval.

    Example:
        ```python
        from mtlkit.diagnostics.probes.statistics import bootstrap_interval

        low, high = bootstrap_interval([0, 1] * 50)
        assert low < 0.5 < high
        ```
    """
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
    """Wilson's interval of a share.

    Args:
        count: How many samples have a property.
        samples: Out of how many.

    Returns:
        The ends of the interval; the whole range if there are no samples.
    """
    from scipy.stats import binomtest

    if samples == 0:
        return 0.0, 1.0
    interval = binomtest(int(count), int(samples)).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def p_better(first: NDArray, second: NDArray) -> float:
    """How likely luck alone makes one of two paired scores at least so much the better.

    Args:
        first: The score of each sample that is thought to be better.
        second: The score of the same samples that it is compared with.

    Returns:
        One-sided p-value: of McNemar's exact test if scores are right or wrong, else of the
        paired t-test.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.probes.statistics import p_better

        right, wrong = np.ones(10, bool), np.zeros(10, bool)
        assert p_better(right, wrong) == 0.5**10
        assert p_better(right, right) == 1
        ```
    """
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
    """Corrects p-values for several looks, by Holm's method.

    Args:
        p_values: The p-values of all looks.

    Returns:
        Corrected p-values, in the same order.

    Example:
        ```python
        from mtlkit.diagnostics.probes.statistics import holm

        assert holm([0.01, 0.04]).tolist() == [0.02, 0.04]
        ```
    """
    given = np.asarray(p_values, "float64")
    order = np.argsort(given)
    looks = np.arange(len(given), 0, -1)
    corrected = np.empty_like(given)
    corrected[order] = np.minimum(np.maximum.accumulate(given[order] * looks), 1.0)
    return corrected
