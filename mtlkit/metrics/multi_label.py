"""Metrics of labels that are independent of each other, each of which may be missing."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit._counts import check_count
from mtlkit.losses.multi_label import binary_entries

#: Logits are counted in cells of this width, up to this size; beyond it they count as the largest.
_CELL, _LARGEST = 0.02, 12.0
_CELLS = round(2 * _LARGEST / _CELL)


@keras.saving.register_keras_serializable(package="mtlkit")
class MeanAveragePrecision(keras.metrics.Metric):
    """The average precision of each label, and the mean over labels that have both values.

    The average precision of a label is `sum_n (R_n - R_(n-1)) P_n`, with precision `P_n` and
    recall `R_n` of the samples whose logit is at least the `n`-th threshold: the share of
    positives if the order says nothing, 1 if it is perfect. Thresholds stand 0.02 apart in
    logits, so the metric of an epoch is that of all its samples, without keeping them. Labels
    of -1 or NaN are left out, one by one. NaN if no label has both values.

    Args:
        num_labels: Number of labels.
        name: Name of the metric.
        **kwargs: Passed on to `keras.metrics.Metric`.

    Raises:
        ValueError: If `num_labels < 1`.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics import MeanAveragePrecision

        metric = MeanAveragePrecision(num_labels=2)
        labels, logits = [[0, 1], [1, -1], [0, 0]], [[-1, 3], [2, 9], [0, 1]]
        metric.update_state(np.array(labels), np.array(logits))
        assert float(metric.result()) == 1.0
        ```
    """

    by_entry = "classes"

    def __init__(
        self, num_labels: int, name: str = "mean_average_precision", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_count("num_labels", num_labels, 1)
        self.num_labels = num_labels
        shape = (2, num_labels, _CELLS)
        self.counts = self.add_variable(shape=shape, initializer="zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch.

        Args:
            y_true: Labels 0 or 1, of shape `(batch, num_labels)`; -1 or NaN where missing.
            y_pred: Logits of the same shape.
            sample_weight: Weights of shape `(batch,)`, or `None` for ones.
        """
        true, known = binary_entries(y_true, "float32")
        if sample_weight is not None:
            known = known * ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        place = (ops.cast(y_pred, "float32") + _LARGEST) / _CELL
        cell = ops.cast(ops.clip(ops.floor(place), 0, _CELLS - 1), "int32")
        cell = cell + _CELLS * ops.arange(self.num_labels, dtype="int32")
        counts = [
            ops.segment_sum(
                ops.reshape(weight, (-1,)), ops.reshape(cell, (-1,)), self.num_labels * _CELLS
            )
            for weight in (known * (1 - true), known * true)
        ]
        counted = ops.reshape(ops.stack(counts), (2, self.num_labels, _CELLS))
        self.counts.assign_add(ops.cast(counted, self.counts.dtype))

    def of_labels(self) -> Any:
        """Returns the average precision of each label; NaN where one of the values is lacking."""
        falling = ops.flip(ops.cast(self.counts, "float32"), axis=-1)
        negatives, positives = falling[0], falling[1]
        hits = ops.cumsum(positives, axis=-1)
        precision = ops.divide_no_nan(hits, hits + ops.cumsum(negatives, axis=-1))
        of_each, others = ops.sum(positives, axis=-1), ops.sum(negatives, axis=-1)
        found = ops.divide_no_nan(ops.sum(positives * precision, axis=-1), of_each)
        return ops.where(ops.logical_and(of_each > 0, others > 0), found, np.nan)

    def result(self) -> Any:
        found = self.of_labels()
        there = ops.logical_not(ops.isnan(found))
        total = ops.sum(ops.where(there, found, ops.zeros_like(found)))
        return total / ops.sum(ops.cast(there, "float32"))  # 0 / 0 is NaN

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_labels": self.num_labels}


@keras.saving.register_keras_serializable(package="mtlkit")
class LabelAccuracy(keras.metrics.Mean):
    """The share of labels that are predicted right, among those that are there.

    A label is predicted where its logit is above 0. A label of -1 or NaN is missing.

    Args:
        name: Name of the metric.
        **kwargs: Passed on to `keras.metrics.Mean`.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics import LabelAccuracy

        metric = LabelAccuracy()
        metric.update_state(np.array([[1, 0, -1]]), np.array([[2.0, 3.0, 9.0]]))
        assert float(metric.result()) == 0.5
        ```
    """

    by_entry = "classes"

    def __init__(self, name: str = "label_accuracy", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        true, known = binary_entries(y_true, "float32")
        right = ops.cast((ops.convert_to_tensor(y_pred) > 0) == (true > 0.5), "float32")
        if sample_weight is not None:
            known = known * ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        super().update_state(right, sample_weight=known)
