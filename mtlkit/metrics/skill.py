"""Skill: a score beside its interval and beside what needs no learning at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._arrays import as_array
from mtlkit._statistics import mean_interval, share_interval
from mtlkit.metrics._labels import class_pairs, labelled_pairs
from mtlkit.metrics._text_table import text_table

#: The best score that each metric allows.
_PERFECT = {"accuracy": 1.0, "mae": 0.0}


@dataclass(frozen=True)
class Skill:
    """One score of one task, with its interval and its baseline.

    Attributes:
        task: Name of the task.
        metric: `"accuracy"` (a fraction) or `"mae"` (in the units of the label).
        score: The measured value.
        low: Lower end of its confidence interval.
        high: Upper end of its confidence interval.
        baseline: The score that a predictor without any skill reaches.
        baseline_name: What that predictor does, such as `"chance"`.
        samples: Number of labelled samples that were scored.
        verdict: The judgement in words, such as `"at chance"` or `"learned"`.

    Example:
        ```python
        from mtlkit.metrics.skill import accuracy_skill

        skill = accuracy_skill([0, 1] * 50, [0, 1] * 50, task="identity")
        assert skill.verdict == "solved" and skill.gap_closed == 1.0
        ```
    """

    task: str
    metric: str
    score: float
    low: float
    high: float
    baseline: float
    baseline_name: str
    samples: int
    verdict: str

    @property
    def gap_closed(self) -> float:
        """Share of the way from the baseline (0) to perfection (1); negative if worse."""
        return _gap_closed(self.metric, self.score, self.baseline)

    @property
    def text(self) -> str:
        """The whole judgement in one sentence."""
        return (
            f"{self.task}: {self._score_text()} against {self._baseline_text()} "
            f"on {self.samples:,} samples: {self.verdict} "
            f"({100 * self.gap_closed:.0f} % of the gap to perfection closed)"
        )

    def __str__(self) -> str:
        return self.text

    def _score_text(self) -> str:
        low, high = (_number(self.metric, end) for end in (self.low, self.high))
        unit = " %" if self.metric == "accuracy" else ""
        return f"{self.metric} {_number(self.metric, self.score)}{unit} [{low}, {high}]"

    def _baseline_text(self) -> str:
        unit = " %" if self.metric == "accuracy" else ""
        return f"{_number(self.metric, self.baseline)}{unit} ({self.baseline_name})"


def accuracy_skill(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    num_classes: int | None = None,
    task: str = "task",
    confidence: float = 0.95,
) -> Skill:
    """Accuracy with its Wilson interval, beside chance or the most frequent class.

    The baseline is chance, `1 / num_classes`, as long as the labels are as even as uniform
    draws would be. (The most frequent of many even classes exceeds chance by luck alone.)
    Otherwise it is the share of the most frequent class.

    Args:
        y_true: True classes `0 ... num_classes - 1`, of shape `(samples,)`; -1 or NaN: unlabelled.
        y_pred: Predicted classes of the same shape.
        num_classes: Number of classes. `None`: one more than the largest class seen.
        task: Name of the task.
        confidence: Coverage of the interval, between 0 and 1.

    Returns:
        The skill, of the labelled samples.

    Raises:
        ValueError: If there is no labelled sample, the shapes differ, or what was given
            are not classes.

    Example:
        ```python
        from mtlkit.metrics.skill import accuracy_skill

        skill = accuracy_skill([0, 1, 2, 3] * 25, [0] * 100)
        assert skill.score == 0.25 and skill.verdict == "at chance"
        ```
    """
    _check_confidence(confidence)
    true, predicted, num_classes = class_pairs(y_true, y_pred, num_classes, task)
    samples = len(true)
    correct = int((true == predicted).sum())
    low, high = share_interval(correct, samples, confidence)
    baseline, name = _class_baseline(true, num_classes)
    return _skill(task, "accuracy", correct / samples, low, high, baseline, name, samples)


def mae_skill(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    constant: float | None = None,
    task: str = "task",
    confidence: float = 0.95,
) -> Skill:
    """Mean absolute error with its t-interval, beside that of a constant prediction.

    Args:
        y_true: True values, of shape `(samples, ...)`; NaN (in integers, -1): unlabelled.
            The error of a sample is the mean over its further axes.
        y_pred: Predicted values of the same shape.
        constant: The constant to compare with, such as the median of the training labels.
            `None`: the median of `y_true`, which no constant can beat.
        task: Name of the task.
        confidence: Coverage of the interval, between 0 and 1.

    Returns:
        The skill, of the labelled samples.

    Raises:
        ValueError: If there is no labelled sample, the shapes differ, or the constant or the
            prediction of a labelled sample is not finite.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics.skill import mae_skill

        y = np.linspace(0, 1, 101)
        skill = mae_skill(y, np.full(101, 0.6))
        assert skill.verdict == "no better than a constant"
        ```
    """
    _check_confidence(confidence)
    if constant is not None and not np.all(np.isfinite(constant)):
        raise ValueError(
            f"Expected a finite constant for task '{task}', such as the median of the training "
            "labels that are there, constant=float(np.nanmedian(y_train)). "
            f"Received: constant={constant!r}"
        )
    true, predicted = (part.astype("float64") for part in labelled_pairs(y_true, y_pred, task))
    wrong = int((~np.isfinite(predicted)).sum())
    if wrong:
        raise ValueError(
            f"Expected finite predictions for task '{task}'. Received: {wrong} NaN or "
            f"infinite values among the {len(true)} labelled samples"
        )
    errors = _sample_errors(true, predicted)
    score, (low, high) = mean_interval(errors, confidence)
    reference = np.median(true, axis=0) if constant is None else constant
    baseline = float(_sample_errors(true, reference).mean())
    name = "best constant" if constant is None else f"constant {constant:.3g}"
    return _skill(task, "mae", score, max(0.0, low), high, baseline, name, len(true))


def skill(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    num_classes: int | None = None,
    constant: float | None = None,
    task: str = "task",
    confidence: float = 0.95,
) -> Skill:
    """The skill that fits the labels: accuracy for integers, absolute error for floats.

    Args:
        y_true: True labels, of shape `(samples,)`.
        y_pred: Predictions of the same shape.
        num_classes: For integer labels: see `accuracy_skill`.
        constant: For float labels: see `mae_skill`.
        task: Name of the task.
        confidence: Coverage of the interval, between 0 and 1.
    """
    if np.asarray(as_array(y_true)).dtype.kind == "f":
        return mae_skill(y_true, y_pred, constant, task, confidence)
    return accuracy_skill(y_true, y_pred, num_classes, task, confidence)


def constant_skill(metric: str, labels: ArrayLike, task: str = "task") -> Skill | None:
    """The skill of what needs no learning, by a log's name; `None` where it is not known of it.

    Args:
        metric: Name of a log, such as `"val_kind_accuracy"`: `accuracy` or `mae` is its last word.
        labels: Labels of shape `(samples,)`; of values, also `(samples, values)`.
        task: Name of the task.
    """
    true = np.asarray(labels)
    kind = metric.rpartition("_")[2]
    try:
        if kind == "accuracy" and true.dtype.kind in "iu" and true.ndim == 1:
            return accuracy_skill(true, true, task=task)
        return mae_skill(true, true, task=task) if kind == "mae" else None
    except ValueError:  # labels of another form, or none at all
        return None


def skill_table(rows: Sequence[Skill], title: str | None = None) -> str:
    """Prints skills as an aligned table, one task a line.

    Args:
        rows: The skills, in the order of the lines.
        title: A line above the table. `None`: no such line.

    Returns:
        Plain text with the columns task, score and interval, baseline, and in words.

    Raises:
        ValueError: If there are no rows.

    Example:
        ```python
        from mtlkit.metrics.skill import skill, skill_table

        print(skill_table([skill([0, 1] * 20, [0, 1] * 20, task="identity")], title="Test"))
        ```
    """
    if not rows:
        raise ValueError(f"Expected at least one skill. Received: rows={rows}")
    table = text_table(
        ["task", "score [low, high]", "baseline", "in words"],
        [[row.task, row._score_text(), row._baseline_text(), row.verdict] for row in rows],
    )
    return table if title is None else f"{title}\n{table}"


def _skill(
    task: str,
    metric: str,
    score: float,
    low: float,
    high: float,
    baseline: float,
    baseline_name: str,
    samples: int,
) -> Skill:
    verdict = _verdict(metric, score, low, high, baseline, baseline_name)
    low, high = float(low), float(high)
    return Skill(task, metric, score, low, high, baseline, baseline_name, samples, verdict)


def _verdict(
    metric: str, score: float, low: float, high: float, baseline: float, baseline_name: str
) -> str:
    by_chance = baseline_name == "chance"
    if low <= baseline <= high or baseline == _PERFECT[metric]:
        return "at chance" if by_chance else "no better than a constant"
    closed = _gap_closed(metric, score, baseline)
    if closed < 0:
        return "worse than chance" if by_chance else "worse than a constant"
    if closed < 0.5:
        return f"{'above chance' if by_chance else 'better than a constant'}, far from solved"
    return "learned" if closed < 0.9 else "solved"


def _gap_closed(metric: str, score: float, baseline: float) -> float:
    gap = _PERFECT[metric] - baseline
    # Rounded, so that nine tenths are nine tenths; where the baseline is perfect, nothing
    # can be gained.
    return round((score - baseline) / gap, 9) if gap else 0.0


def _class_baseline(true: NDArray[np.int64], num_classes: int) -> tuple[float, str]:
    from scipy.stats import binom

    count = int(np.bincount(true).max())
    # How often would uniform draws make some class as frequent? (Bonferroni's bound)
    luck = num_classes * binom.sf(count - 1, len(true), 1 / num_classes)
    if luck > 0.05:
        return 1 / num_classes, "chance"
    return count / len(true), "most frequent class"


def _sample_errors(true: NDArray, predicted: ArrayLike) -> NDArray[np.float64]:
    return np.abs(true - predicted).reshape(len(true), -1).mean(axis=1)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"Expected 0 < confidence < 1. Received: confidence={confidence}")


def _number(metric: str, value: float) -> str:
    return f"{100 * value:.1f}" if metric == "accuracy" else f"{value:.3g}"
