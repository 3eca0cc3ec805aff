"""The overlap of predicted and true areas."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit._counts import check_count


@keras.saving.register_keras_serializable(package="mtlkit")
class MeanIoU(keras.metrics.Metric):
    """The mean intersection over union (Jaccard index) of the classes of pixels.

    For each class it is the number of pixels that are truly of it and predicted so, over the number
    that are either, of all pixels of an epoch. The mean is over the classes that occur in
    labels or predictions; NaN if there are none. It is that of `keras.metrics.MeanIoU` with
    logits, without its loop over pixels on PyTorch.

    Args:
        num_classes: Number of classes.
        name: Name of the metric.
        **kwargs: Passed on to `keras.metrics.Metric`.

    Raises:
        ValueError: If `num_classes < 2`.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics import MeanIoU

        metric = MeanIoU(num_classes=2)
        metric.update_state(np.array([[0, 0, 1, 1]]), np.eye(2)[[[0, 1, 1, 1]]])
        assert abs(float(metric.result()) - (1 / 2 + 2 / 3) / 2) < 1e-6
        ```
    """

    def __init__(self, num_classes: int, name: str = "mean_iou", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        check_count("num_classes", num_classes, 2)
        self.num_classes = num_classes
        shape = (3, num_classes)
        self.counts = self.add_variable(shape=shape, initializer="zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch.

        Args:
            y_true: Classes of shape `(batch, ...)`.
            y_pred: Logits of shape `(batch, ..., num_classes)`.
            sample_weight: Weights of shape `(batch,)` or `(batch, ...)`, or `None` for ones.
        """
        predicted = ops.argmax(y_pred, axis=-1)
        true = ops.reshape(ops.cast(y_true, predicted.dtype), ops.shape(predicted))
        weight = ops.ones_like(true, dtype=self.dtype)
        if sample_weight is not None:
            given = ops.cast(sample_weight, self.dtype)
            missing = len(true.shape) - len(given.shape)
            weight = weight * ops.reshape(given, (*ops.shape(given), *(1,) * missing))
        right = weight * ops.cast(true == predicted, self.dtype)
        counted = [
            ops.segment_sum(
                ops.reshape(values, (-1,)), ops.reshape(classes, (-1,)), self.num_classes
            )
            for values, classes in ((right, true), (weight, true), (weight, predicted))
        ]
        self.counts.assign_add(ops.cast(ops.stack(counted), self.counts.dtype))

    def of_classes(self) -> Any:
        """Returns the intersection over union of each class; NaN where it does not occur."""
        both, true, predicted = ops.unstack(ops.cast(self.counts, "float32"), 3)
        return both / (true + predicted - both)  # 0 / 0 is NaN

    def result(self) -> Any:
        found = self.of_classes()
        occurs = ops.logical_not(ops.isnan(found))
        total = ops.sum(ops.where(occurs, found, ops.zeros_like(found)))
        return total / ops.sum(ops.cast(occurs, "float32"))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
