"""Metrics of some of the outputs."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.metrics._wrapped_metric import WrappedMetric


@keras.saving.register_keras_serializable(package="mtlkit")
class SlicedMetric(WrappedMetric):
    """Applies a metric to some of the outputs, those of `outputs[:, start:stop]`.

    For heads that put several things out side by side, such as `mtlkit.heads.ContrastiveHead`,
    whose logits are the first `num_classes` outputs. Put it within a `MaskedMetric` where
    labels may be missing.

    Args:
        metric: The `keras.metrics.Metric` to apply.
        start: The first output that the metric reads.
        stop: The first output after these.
        name: Name of the metric. `None`: that of `metric`.
        **kwargs: Passed on to `keras.metrics.Metric`.

    Raises:
        ValueError: If `metric` is not a Keras metric, or `start` and `stop` are not in order.

    Example:
        ```python
        import keras
        import numpy as np
        from mtlkit.metrics.sliced import SlicedMetric

        metric = SlicedMetric(keras.metrics.SparseCategoricalAccuracy(), start=0, stop=2)
        metric.update_state(np.array([1]), np.array([[0.0, 1.0, 9.0]]))
        assert float(metric.result()) == 1.0
        ```
    """

    def __init__(
        self,
        metric: keras.metrics.Metric,
        start: int,
        stop: int,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(metric, keras.metrics.Metric):
            raise ValueError(f"Expected a keras.metrics.Metric. Received: metric={metric!r}")
        if not 0 <= start < stop:
            raise ValueError(f"Expected 0 <= start < stop. Received: start={start}, stop={stop}")
        super().__init__(name=name or metric.name, **kwargs)
        self.metric = metric
        self.start = start
        self.stop = stop

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        outputs = y_pred[:, self.start : self.stop]
        self.metric.update_state(y_true, outputs, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "start": self.start, "stop": self.stop}
