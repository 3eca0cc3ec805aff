"""Intervals, tests and counts that scores, searches and probes share; SciPy computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Coverage of an interval, unless a caller names another.
CONFIDENCE = 0.95
#: Redraws of a bootstrap: enough for the ends of such an interval.
_DRAWS = 1000
#: Values redrawn at once, so that memory stays small.
_CHUNK = 2_000_000

Interval = tuple[float, float]


def share_interval(count: int, samples: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's interval of a share; from 0 to 1 without samples."""
    from scipy.stats import binomtest

    if samples == 0:
        return 0.0, 1.0
    interval = binomtest(int(count), int(samples)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(
    values: ArrayLike, confidence: float = CONFIDENCE, *, comparisons: int = 1
) -> tuple[float, Interval]:
    """The mean and its t-interval, by Bonferroni's method for several comparisons.

    For paired differences this is the paired interval. A single value has an endless one.
    """
    from scipy.stats import sem, t

    values = np.asarray(values, "float64").reshape(-1)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, (-np.inf, np.inf)
    quantile = t.ppf(1 - (1 - confidence) / (2 * comparisons), len(values) - 1)
    half = float(quantile * sem(values))
    return mean, (mean - half, mean + half)


def bootstrap_interval(values: ArrayLike, seed: int = 0) -> Interval:
    """The percentile bootstrap interval of a mean; a single value is its own interval."""
    from scipy.stats import bootstrap

    values = np.asarray(values, "float64")
    if len(values) < 2 or np.ptp(values) == 0:
        return float(values.mean()), float(values.mean())
    interval = bootstrap(
        (values,),
        np.mean,
        n_resamples=_DRAWS,
        batch=max(1, _CHUNK // len(values)),
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def p_better(first: NDArray, second: NDArray) -> float:
    """How likely chance alone makes the first of two paired scores better by this much."""
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


def fitted_temperature(scores: NDArray, labels: NDArray, least: float, most: float) -> float:
    """The divisor of scores whose softmax gives the labels the most likelihood.

    Args:
        scores: Logits or log-probabilities of shape `(samples, classes)`.
        labels: Classes of shape `(samples,)`.
        least: The smallest divisor to try.
        most: The largest one.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(scores / np.exp(log_temperature), axis=1)
        return -float(np.mean(scaled[rows, labels]))

    found: Any = minimize_scalar(loss, bounds=(np.log(least), np.log(most)), method="bounded")
    return float(np.exp(found.x))


def count_table(
    rows: ArrayLike, columns: ArrayLike, num_rows: int, num_columns: int | None = None
) -> NDArray[np.int64]:
    """How often each row and column come together, `(num_rows, num_columns)`.

    With true classes as rows and predicted ones as columns this is the confusion matrix.
    """
    num_columns = num_columns or num_rows
    cells = np.asarray(rows, "int64") * num_columns + np.asarray(columns, "int64")
    return np.bincount(cells, minlength=num_rows * num_columns).reshape(num_rows, num_columns)
