"""The loss of labels that are independent of each other, each of which may be missing."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mtlkit")
class MultiLabelCrossEntropy(keras.losses.Loss):
    """Binary cross-entropy of several labels a sample, of which some may be missing.

    With logits `f_k` and labels `y_k` in 0 or 1, the loss of a sample is the mean of
    `softplus(f_k) - y_k f_k` over its labels that are there, in nats: `ln 2` where all logits
    are 0. A label of -1 or NaN is missing: it counts for nothing, whatever its logit. The
    arguments of the constructor are those of `keras.losses.Loss`.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import MultiLabelCrossEntropy

        loss = MultiLabelCrossEntropy()
        value = loss(np.array([[1, -1, 0]]), np.zeros((1, 3)))
        assert abs(float(value) - np.log(2)) < 1e-6
        ```
    """

    #: Each label of a sample may be missing by itself: see `mtlkit.losses.MaskedLoss`.
    by_entry = "classes"

    def __init__(self, name: str = "multi_label_cross_entropy", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        logits = ops.convert_to_tensor(y_pred)
        true, known = binary_entries(y_true, logits.dtype)
        losses = known * (ops.softplus(logits) - true * logits)
        return ops.sum(losses, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1.0)


def binary_entries(y: Any, dtype: Any) -> tuple[Any, Any]:
    """Labels that are not negative, 0 where missing, and ones where they are there."""
    y = ops.cast(y, dtype)
    known = y >= 0  # neither -1 nor NaN
    return ops.where(known, y, ops.zeros_like(y)), ops.cast(known, dtype)
