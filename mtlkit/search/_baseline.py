"""What a score is to be compared with: what needs no learning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtlkit._statistics import share_interval
from mtlkit.metrics.skill import accuracy_skill, mae_skill


@dataclass(frozen=True)
class Baseline:
    """What a predictor without any skill scores.

    Attributes:
        score: Its score.
        name: What it does, such as `"chance"`.
        samples: Number of labelled samples.
        shares: Whether scores are shares of the samples.
    """

    score: float
    name: str
    samples: int
    shares: bool

    def interval(self, score: float) -> tuple[float, float] | None:
        """The 95 % interval of a score on so many samples; `None` if it cannot be told."""
        if not self.shares:
            return None
        return share_interval(round(score * self.samples), self.samples)


def baseline_of(metric: str, labels: ArrayLike) -> Baseline | None:
    """Returns the baseline of a metric."""
    true = np.asarray(labels)
    kind = metric.rpartition("_")[2]
    try:
        if kind == "accuracy" and true.dtype.kind in "iu":
            skill = accuracy_skill(true, true)
        elif kind == "mae":
            skill = mae_skill(true, true)
        else:
            return None
    except ValueError:  # labels of another form, or none at all
        return None
    return Baseline(skill.baseline, skill.baseline_name, skill.samples, kind == "accuracy")
