"""Metrics for ordered bins on a line."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.metrics._bins import BinAccuracy, BinMetric


@keras.saving.register_keras_serializable(package="mtlkit")
class OrdinalMeanAbsoluteError(BinMetric):
    """Mean absolute error, in bins, of a prediction of ordered bins.

    Args:
        num_bins: Number of bins.
        decoder: What makes positions, in bins, of predictions: an object with a method
            `position(y_pred)`. `None`: predictions are logits.
        name: Name of the metric.
        **kwargs: `dtype` of the metric's state.

    Raises:
        ValueError: If `num_bins < 2`.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics import OrdinalMeanAbsoluteError

        metric = OrdinalMeanAbsoluteError(num_bins=4)
        metric.update_state(np.array([3]), np.array([[9.0, 0.0, 0.0, 0.0]]))
        assert float(metric.result()) == 3.0
        ```
    """

    circular = False

    def __init__(
        self, num_bins: int, decoder: Any = None, name: str = "mae_bins", **kwargs: Any
    ) -> None:
        super().__init__(num_bins, decoder=decoder, name=name, **kwargs)

    def of_distance(self, bins: Any) -> Any:
        return bins


@keras.saving.register_keras_serializable(package="mtlkit")
class OrdinalAccuracy(BinAccuracy):
    """Share of samples whose predicted bin is at most `within` bins off, on a line.

    Args:
        num_bins: Number of bins.
        within: The largest distance, in bins, that counts as right.
        name: Name of the metric. `None`: `"accuracy"`, or `"accuracy_within_{within}"`.
        **kwargs: `decoder` and `dtype`, as for `OrdinalMeanAbsoluteError`.

    Raises:
        ValueError: If `num_bins < 2` or `within < 0`.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics import OrdinalAccuracy

        metric = OrdinalAccuracy(num_bins=4, within=1)
        metric.update_state(np.array([3, 1]), np.array([[9.0, 0, 0, 0], [9.0, 0, 0, 0]]))
        assert float(metric.result()) == 0.5
        ```
    """

    circular = False
