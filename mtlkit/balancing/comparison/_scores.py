"""What scores of several tasks say together, and whether two methods differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mtlkit.metrics.skill import Skill

#: Scores by task.
Scores = Mapping[str, float]


def delta_m(scores: Scores, single: Scores, directions: Mapping[str, str]) -> float:
    """The mean relative change to single-task models in percent, positive where it is better.

    NaN where a score is not known, or that of a single-task model is 0.
    """
    changes = []
    for task, direction in directions.items():
        score, base = scores.get(task, math.nan), single.get(task, math.nan)
        sign = 1.0 if direction == "max" else -1.0
        changes.append(sign * (score - base) / abs(base) if base else math.nan)
    return 100.0 * float(np.mean(changes))


def skill_gain(scores: Scores, single: Scores, baselines: Mapping[str, Skill | None]) -> float:
    """The mean gain in skill over single-task models; NaN where no baseline is known.

    The skill of a score is the share of the way from the best constant (0) to perfection (1).
    """
    gains = [
        replace(known, score=scores.get(task, math.nan)).gap_closed
        - replace(known, score=single.get(task, math.nan)).gap_closed
        for task, known in baselines.items()
        if known is not None
    ]
    return float(np.mean(gains)) if gains else math.nan


def p_different(differences: ArrayLike) -> float:
    """The two-sided p-value of paired differences, by a t-test; 1 where they cannot say."""
    from scipy.stats import ttest_1samp

    values = np.asarray(differences, "float64")
    if len(values) < 2 or not np.isfinite(values).all():
        return 1.0
    if np.ptp(values) == 0:
        return float(values[0] == 0)
    return float(ttest_1samp(values, 0.0).pvalue)


def best_weights(tries: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The weights of the try with the best `delta_m`, or the first ones if that is not known."""

    def change(one: Mapping[str, Any]) -> float:
        value = one["delta_m"]
        return -math.inf if value is None or math.isnan(value) else float(value)

    return dict(max(tries, key=change)["weights"])


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
