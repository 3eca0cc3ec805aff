"""One score for all tasks: the skill of each sample, from 0 (no skill) to 1 (perfect)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.heads.head import Head
from mtlkit.metrics.skill import skill


def decoded_zeros(head: Head, shape: Sequence[int | None]) -> Mapping[str, NDArray]:
    """What a head makes of outputs of a shape with the batch, which are all zero."""
    return head.decode(np.zeros((1, *(size or 1 for size in shape[1:])), "float32"))


def is_of_pixels(decoded: Mapping[str, NDArray]) -> bool:
    """Whether a head predicts something for each pixel, rather than for each sample."""
    return any(np.ndim(decoded[key]) > 2 for key in ("label", "value") if key in decoded)


@dataclass(frozen=True)
class Score:
    """How a task is judged: by its accuracy, or its mean absolute error, beside a baseline.

    The skill of a sample is `(correct - baseline) / (1 - baseline)`, or
    `1 - error / baseline` for values; so the mean over samples is the share of the way from
    the baseline to perfection.

    Attributes:
        metric: `"accuracy"` or `"mae"`.
        baseline: What a predictor without skill scores: chance, or the share of the most
            frequent class; or the error of the best constant.
        num_classes: Number of classes; 0 for values.
        period: Degrees of the circle that bins divide; `None` for what is not an orientation.
    """

    metric: str
    baseline: float
    num_classes: int = 0
    period: float | None = None

    @classmethod
    def of(cls, head: Head, outputs: int, y: ArrayLike) -> Score:
        """Returns the score that fits a head."""
        decoded = head.decode(np.zeros((1, outputs), "float32"))
        if "label" not in decoded:
            if "value" not in decoded:
                raise ValueError(
                    "Expected a head whose decode() has 'label' or 'value', to be judged by. "
                    f"Received: {type(head).__name__}, with {sorted(decoded)}"
                )
            values = np.asarray(y, "float64")
            return cls("mae", skill(values, values).baseline)
        if np.size(y) != len(np.asarray(y)):
            raise ValueError(
                "Expected one class a sample, to be judged by; of one-hot rows, adopt the model "
                'with {"kind": "classification"} and take y.argmax(axis=-1). '
                f"Received: labels of shape {np.shape(y)}"
            )
        period = float(getattr(head, "period", 360.0)) if "degrees" in decoded else None
        probability = decoded.get("probability")
        known = int(np.max(y)) + 1 if probability is None else probability.shape[-1]
        found = cls("accuracy", 0.0, known, period)
        classes = found.targets(y)
        baseline = skill(classes, classes, num_classes=known).baseline
        return cls("accuracy", baseline, known, period)

    @property
    def of_classes(self) -> bool:
        """Whether labels are classes, rather than values."""
        return self.metric == "accuracy"

    def targets(self, y: ArrayLike) -> NDArray[Any]:
        """What is to be predicted: classes (angles become bins), or values in columns."""
        y = np.asarray(y)
        if not self.of_classes:
            return y.reshape(len(y), -1).astype("float32")
        y = y.reshape(-1)
        if y.dtype.kind == "f" and self.period is not None:
            y = bins_of(y, self.period, self.num_classes)
        return y.astype("int64")

    def rows(self, decoded: Mapping[str, NDArray], y: ArrayLike) -> NDArray[np.float64]:
        """Returns the skill of each sample.

        Returns:
            Array of shape `(samples,)`, of which the mean is the skill.
        """
        targets = self.targets(y)
        if self.of_classes:
            return self._scaled(np.asarray(decoded["label"]).reshape(-1) == targets)
        predicted = np.asarray(decoded["value"], "float64").reshape(targets.shape)
        return self._scaled(np.nan_to_num(np.abs(predicted - targets), nan=np.inf).mean(axis=1))

    def rows_of_scores(self, scores: NDArray, y: ArrayLike) -> NDArray[np.float64]:
        """As `rows`, for scores of the classes, or values, of shape `(samples, outputs)`."""
        return self.rows({"label": scores.argmax(axis=1), "value": scores}, y)

    def value(self, skill: float) -> float:
        """The accuracy, or the mean absolute error, of a skill."""
        if self.of_classes:
            return self.baseline + skill * (1 - self.baseline)
        return self.baseline * (1 - skill)

    def text(self, skill: float) -> str:
        """A skill in words, such as `"accuracy 48.2 %"`."""
        if self.of_classes:
            return f"accuracy {100 * self.value(skill):.1f} %"
        return f"mean absolute error {self.value(skill):.3g}"

    def _scaled(self, values: NDArray) -> NDArray[np.float64]:
        if self.of_classes:
            return (values - self.baseline) / max(1 - self.baseline, 1e-9)
        # An error without bound would outweigh all others.
        return np.maximum(1 - values / max(self.baseline, 1e-9), -10.0)


def bins_of(degrees: NDArray, period: float, num_bins: int) -> NDArray[Any]:
    """The nearest bin of each angle, as floats: NaN stays NaN.

    Returns:
        Array of the same shape.
    """
    return np.round(degrees / period * num_bins) % num_bins
