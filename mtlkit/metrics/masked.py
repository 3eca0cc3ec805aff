"""Partial labels: metrics over the labelled samples."""

from __future__ import annotations

from inspect import signature
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.losses.masked import align_labels, fill_missing, labelled, loss_rank, masked_weight


@keras.saving.register_keras_serializable(package="mtlkit")
class MaskedMetric(keras.metrics.Metric):
    """Applies a metric to the samples that have a label.

    A label is missing where it is NaN (floating point) or -1 (integer). Where no sample
    had a label the result is NaN: neither a good score nor a bad one.

    Args:
        metric: The `keras.metrics.Metric` to apply, or the name of one.
        name: Name of the metric. `None`: that of `metric`.
        **kwargs: Passed on to `keras.metrics.Metric`.

    Raises:
        ValueError: If the metric is not a Keras metric, or takes no `sample_weight`.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics import MaskedMetric

        metric = MaskedMetric("mean_absolute_error")
        metric.update_state(np.array([[1.0], [np.nan]]), np.array([[3.0], [7.0]]))
        assert float(metric.result()) == 2.0
        ```
    """

    def __init__(self, metric: Any, name: str | None = None, **kwargs: Any) -> None:
        metric = _as_metric(metric)
        super().__init__(name=name or metric.name, **kwargs)
        self.metric = metric
        self.samples = self.add_variable(shape=(), initializer="zeros", name="samples")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        present = labelled(y_true)
        self.metric.update_state(
            align_labels(fill_missing(y_true, present), y_pred),
            y_pred,
            sample_weight=masked_weight(present, sample_weight, loss_rank(y_pred)),
        )
        self.samples.assign_add(ops.sum(ops.cast(present, self.samples.dtype)))

    def result(self) -> Any:
        value = self.metric.result()
        return ops.where(self.samples > 0, value, ops.full_like(value, np.nan))

    def reset_state(self) -> None:
        self.metric.reset_state()
        self.samples.assign(0)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "metric": keras.saving.serialize_keras_object(self.metric)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MaskedMetric:
        config = dict(config)
        config["metric"] = keras.saving.deserialize_keras_object(config["metric"])
        return cls(**config)


@keras.saving.register_keras_serializable(package="mtlkit")
class LabelledMean(keras.metrics.Mean):
    """The mean of batch values weighted by their labelled samples; NaN where there are none.

    The arguments of the constructor are those of `keras.metrics.Mean`.

    Example:
        ```python
        from mtlkit.metrics import LabelledMean

        mean = LabelledMean(name="orientation_loss")
        mean.update_state(2.0, sample_weight=3)
        mean.update_state(1.0, sample_weight=1)
        assert float(mean.result()) == 1.75
        ```
    """

    def result(self) -> Any:
        value = super().result()
        return ops.where(self.count > 0, value, ops.full_like(value, np.nan))


def _as_metric(metric: Any) -> keras.metrics.Metric:
    if isinstance(metric, MaskedMetric):
        return metric.metric
    if not isinstance(metric, keras.metrics.Metric):
        resolved = keras.metrics.get(metric)
        if not isinstance(resolved, keras.metrics.Metric):
            name = metric if isinstance(metric, str) else getattr(resolved, "__name__", "metric")
            resolved = keras.metrics.MeanMetricWrapper(resolved, name=name)
        if isinstance(metric, str):
            resolved.name = metric  # as Keras does: "mae" is logged as "mae"
        metric = resolved
    if "sample_weight" not in signature(metric.update_state).parameters:
        raise ValueError(
            "Expected a metric whose update_state takes sample_weight, by which missing labels "
            f"are left out. Received: {metric!r}"
        )
    return metric
