"""Metrics for labels on a circle."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def circular_distance(a: Any, b: Any, period: float) -> Any:
    """The shorter way around a circle, `min(|a - b|, period - |a - b|)` modulo the period.

    Args:
        a: Positions, of any shape.
        b: Positions, of a shape that broadcasts with that of `a`.
        period: Length of the circle, in the unit of the positions.

    Returns:
        Distances in `[0, period / 2]`.

    Example:
        ```python
        from mtlkit.metrics import circular_distance

        assert float(circular_distance(31.0, 1.0, period=32)) == 2.0
        ```
    """
    difference = ops.mod(ops.subtract(a, b), period)
    return ops.minimum(difference, period - difference)


class _CircularMetric(keras.metrics.MeanMetricWrapper):
    """The mean of a function of the distance, in bins, between label and predicted bin."""

    def __init__(self, num_bins: int, name: str, dtype: Any = None) -> None:
        if num_bins < 2:
            raise ValueError(f"Expected num_bins >= 2. Received: num_bins={num_bins}")
        super().__init__(self._of_batch, name=name, dtype=dtype)
        self.num_bins = num_bins

    def of_distance(self, bins: Any) -> Any:
        """Returns the metric of each sample from its distance in bins."""
        raise NotImplementedError(f"{type(self).__name__} must define of_distance().")

    def _of_batch(self, y_true: Any, y_pred: Any) -> Any:
        predicted = ops.cast(ops.argmax(y_pred, axis=-1), "float32")
        true = ops.reshape(ops.cast(y_true, "float32"), (-1,))
        return self.of_distance(circular_distance(true, predicted, self.num_bins))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "num_bins": self.num_bins}


@keras.saving.register_keras_serializable(package="mtlkit")
class CircularMeanAbsoluteError(_CircularMetric):
    """Mean absolute error, in degrees, of the bin predicted by logits over a circle.

    Labels are bins `b` standing for the angles `360 b / num_bins`; the prediction is the
    bin with the largest logit. A constant or random prediction is 90 degrees off.

    Args:
        num_bins: Number of bins around the circle.
        name: Name of the metric.
        dtype: Dtype of the metric's state.

    Raises:
        ValueError: If `num_bins < 2`.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics import CircularMeanAbsoluteError

        metric = CircularMeanAbsoluteError(num_bins=4)
        metric.update_state(np.array([3]), np.array([[9.0, 0.0, 0.0, 0.0]]))
        assert float(metric.result()) == 90.0
        ```
    """

    def __init__(self, num_bins: int, name: str = "mae_degrees", dtype: Any = None) -> None:
        super().__init__(num_bins, name=name, dtype=dtype)

    def of_distance(self, bins: Any) -> Any:
        return bins * (360.0 / self.num_bins)


@keras.saving.register_keras_serializable(package="mtlkit")
class CircularAccuracy(_CircularMetric):
    """Share of samples whose predicted bin is at most `within` bins off, around a circle.

    Args:
        num_bins: Number of bins around the circle.
        within: The largest distance, in bins, that counts as right.
        name: Name of the metric. `None`: `"accuracy_within_{within}"`.
        dtype: Dtype of the metric's state.

    Raises:
        ValueError: If `num_bins < 2` or `within < 0`.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics import CircularAccuracy

        metric = CircularAccuracy(num_bins=4, within=1)
        metric.update_state(np.array([3, 2]), np.array([[9.0, 0, 0, 0], [9.0, 0, 0, 0]]))
        assert float(metric.result()) == 0.5
        ```
    """

    def __init__(
        self, num_bins: int, within: int = 1, name: str | None = None, dtype: Any = None
    ) -> None:
        if within < 0:
            raise ValueError(f"Expected within >= 0. Received: within={within}")
        super().__init__(num_bins, name=name or f"accuracy_within_{within}", dtype=dtype)
        self.within = within

    def of_distance(self, bins: Any) -> Any:
        return ops.cast(bins <= self.within, "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "within": self.within}
