"""Errors as a share of what is true."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mtlkit")
class RelativeError(keras.metrics.Mean):
    """The mean of `|y_pred - y_true| / |y_true|`, of depths and the like ("abs rel").

    Values that are truly 0 are left out.

    Args:
        name: Name of the metric.
        **kwargs: Passed on to `keras.metrics.Mean`.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics import RelativeError

        metric = RelativeError()
        metric.update_state(np.array([[2.0], [4.0], [0.0]]), np.array([[3.0], [4.0], [9.0]]))
        assert float(metric.result()) == 0.25
        ```
    """

    def __init__(self, name: str = "relative_error", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch.

        Args:
            y_true: Values of shape `(batch, ...)`.
            y_pred: Predictions of the same shape.
            sample_weight: Weights of shape `(batch,)`, or `None` for ones.
        """
        true, predicted = ops.cast(y_true, self.dtype), ops.cast(y_pred, self.dtype)
        known = ops.cast(ops.not_equal(true, 0), self.dtype)
        errors = ops.divide_no_nan(ops.abs(predicted - true), ops.abs(true))
        if sample_weight is not None:
            weight = ops.cast(sample_weight, self.dtype)
            known = known * ops.reshape(weight, (-1,) + (1,) * (len(true.shape) - 1))
        super().update_state(errors, sample_weight=known)
