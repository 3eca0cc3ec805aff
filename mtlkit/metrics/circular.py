"""Metrics for labels on a circle."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.metrics._bins import BinAccuracy, BinMetric


@keras.saving.register_keras_serializable(package="mtlkit")
class CircularMeanAbsoluteError(BinMetric):
    """Mean absolute error, in degrees, around a circle.

    Unless a `decoder` reads them otherwise, predictions are logits over bins `b` that stand for
    the angles `period * b / num_bins`. A constant or random prediction is a quarter of the
    period off: 90 degrees where that is 360.

    Args:
        num_bins: Number of bins around the circle.
        period: Length of the circle in degrees: less than 360 for objects that look the
            same after less than a full turn.
        label_period: Length of the circle in the unit of the labels, such as 360 for labels
            in degrees. `None`: labels are bins.
        decoder: What makes positions, in bins, of predictions: an object with a method
            `position(y_pred)`. `None`: predictions are logits.
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

    def __init__(
        self,
        num_bins: int,
        period: float = 360.0,
        label_period: float | None = None,
        decoder: Any = None,
        name: str = "mae_degrees",
        dtype: Any = None,
    ) -> None:
        super().__init__(num_bins, label_period, decoder, name=name, dtype=dtype)
        self.period = period

    def of_distance(self, bins: Any) -> Any:
        return bins * (self.period / self.num_bins)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "period": self.period}


@keras.saving.register_keras_serializable(package="mtlkit")
class CircularAccuracy(BinAccuracy):
    """Share of samples whose predicted bin is at most `within` bins off, around a circle.

    Args:
        num_bins: Number of bins around the circle.
        within: The largest distance, in bins, that counts as right.
        name: Name of the metric. `None`: `"accuracy"`, or `"accuracy_within_{within}"`.
        **kwargs: `label_period`, `decoder` and `dtype`, as for `CircularMeanAbsoluteError`.

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
