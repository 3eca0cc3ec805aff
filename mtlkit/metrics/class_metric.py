"""Metrics of probabilities, such as recall, from labels and logits of classes."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit._counts import check_count
from mtlkit.metrics._wrapped_metric import WrappedMetric
from mtlkit.metrics.masked import as_metric

#: Metrics that count by thresholds of a probability; of two classes, that of class 1.
_BY_PROBABILITY = (
    keras.metrics.AUC,
    keras.metrics.FalseNegatives,
    keras.metrics.FalsePositives,
    keras.metrics.Precision,
    keras.metrics.PrecisionAtRecall,
    keras.metrics.Recall,
    keras.metrics.RecallAtPrecision,
    keras.metrics.SensitivityAtSpecificity,
    keras.metrics.SpecificityAtSensitivity,
    keras.metrics.TrueNegatives,
    keras.metrics.TruePositives,
)
#: Metrics of a label and a probability for each class.
_BY_CLASS = (
    keras.metrics.CategoricalAccuracy,
    keras.metrics.CategoricalHinge,
    keras.metrics.F1Score,
    keras.metrics.FBetaScore,
    keras.metrics.TopKCategoricalAccuracy,
)


@keras.saving.register_keras_serializable(package="mtlkit")
class ClassMetric(WrappedMetric):
    """Gives a metric of probabilities what it reads, out of labels and logits of classes.

    Of two classes, `Recall()`, `Precision()`, `AUC(curve="PR")` and their like get the
    probability of class 1, and whether the label is 1. With a `class_id`, of more classes, and
    for `F1Score()` and its like, they get one-hot labels and the probabilities of all classes.

    A `mtlkit.Task` with a `mtlkit.heads.ClassificationHead` does this by itself:
    `metrics=["accuracy", "recall", keras.metrics.AUC(curve="PR", name="ap")]`.

    Args:
        metric: A Keras metric, or the name of one.
        num_classes: Number of classes.
        name: Name of the metric. `None`: that of `metric`.
        **kwargs: Passed on to `keras.metrics.Metric`.

    Raises:
        ValueError: If `num_classes < 2`, or the metric does not read probabilities.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics import ClassMetric

        metric = ClassMetric("recall", num_classes=2)
        metric.update_state(np.array([1, 1, 0]), np.array([[0.0, 3], [3, 0], [3, 0]]))
        assert float(metric.result()) == 0.5
        ```
    """

    def __init__(
        self, metric: Any, num_classes: int, name: str | None = None, **kwargs: Any
    ) -> None:
        check_count("num_classes", num_classes, 2)
        metric = as_metric(metric)
        if not reads_probabilities(metric):
            raise ValueError(
                "Expected a metric of probabilities, such as keras.metrics.Recall(). "
                f"Received: {metric!r}"
            )
        super().__init__(name=name or metric.name, **kwargs)
        self.metric = metric
        self.num_classes = num_classes
        of_one = getattr(metric, "class_id", None) is not None
        self._counts_all = isinstance(metric, _BY_PROBABILITY) and not of_one
        several = getattr(metric, "multi_label", False)
        self._of_class_1 = self._counts_all and num_classes == 2 and not several

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch.

        Args:
            y_true: Classes, integers of shape `(batch,)` or `(batch, 1)`; or, as a loss such as
                `keras.losses.CategoricalCrossentropy` takes them, one-hot labels of shape
                `(batch, num_classes)`.
            y_pred: Logits of shape `(batch, num_classes)`.
            sample_weight: Weights of shape `(batch,)`, or `None` for ones.
        """
        label = self._one_hot(y_true)
        probability = ops.softmax(ops.cast(y_pred, "float32"), axis=-1)
        if self._of_class_1:
            label, probability = label[:, 1], probability[:, 1]
        elif sample_weight is not None and self._counts_all:  # each class of a sample
            weight = ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
            sample_weight = weight * ops.ones_like(probability)
        self.metric.update_state(label, probability, sample_weight=sample_weight)

    def _one_hot(self, y_true: Any) -> Any:
        """Labels of shape `(batch, num_classes)`, float32."""
        if len(y_true.shape) == 2 and y_true.shape[1] == self.num_classes:
            return ops.cast(y_true, "float32")
        label = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        return ops.one_hot(label, self.num_classes, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}


def reads_probabilities(metric: Any) -> bool:
    """Whether a metric is one of Keras's own that read probabilities of classes.

    A subclass may read what it likes, so it is given labels and outputs as they are.
    """
    return type(metric) in (*_BY_PROBABILITY, *_BY_CLASS)
