"""Partial labels: metrics over the labelled samples."""

from __future__ import annotations

from inspect import signature
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.losses._partial_labels import (
    Entries,
    PartialLabels,
    align_labels,
    as_column,
    loss_rank,
    of_pixels,
)
from mtlkit.metrics._wrapped_metric import WrappedMetric


@keras.saving.register_keras_serializable(package="mtlkit")
class MaskedMetric(WrappedMetric):
    """Applies a metric to the samples that have a label.

    A label is missing where it is NaN (floating point) or -1 (integer). Where no sample
    had a label the result is NaN: neither a good score nor a bad one.

    With `by_entry`, a label is an array such as the classes of an image's pixels: the metric sees
    each pixel that has a label as a sample.

    Args:
        metric: The `keras.metrics.Metric` to apply, or the name of one.
        name: Name of the metric. `None`: that of `metric`.
        by_entry: As in `mtlkit.losses.MaskedLoss`.
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

    def __init__(
        self,
        metric: Any,
        name: str | None = None,
        by_entry: Entries | None = None,
        **kwargs: Any,
    ) -> None:
        metric = as_metric(metric)
        super().__init__(name=name or metric.name, **kwargs)
        self.by_entry: Entries | None = by_entry or entries_known_to(metric)
        self.metric = metric
        self.samples = self.add_variable(shape=(), initializer="zeros", name="samples")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        labels = PartialLabels(y_true, by_entry=self.by_entry)
        update_labelled(self.metric, labels, y_pred, sample_weight)
        self.samples.assign_add(ops.cast(labels.samples, self.samples.dtype))

    def result(self) -> Any:
        return nan_unless(self.samples > 0, super().result())

    def reset_state(self) -> None:
        super().reset_state()
        self.samples.assign(0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "by_entry": self.by_entry}


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

    def add(self, value: Any, samples: Any) -> None:
        """Takes in the value of a batch, as `update_state(value, samples)` does, but faster."""
        self.total.assign_add(ops.cast(value * samples, self.dtype))
        self.count.assign_add(ops.cast(samples, self.dtype))

    def result(self) -> Any:
        return self.total / self.count  # 0 / 0 is NaN


def update_labelled(
    metric: keras.metrics.Metric, labels: PartialLabels, y_pred: Any, sample_weight: Any = None
) -> None:
    """Updates a metric with the samples that have a label."""
    if labels.by_entry and not entries_known_to(metric):
        if len(y_pred.shape) > 2:
            _update_pixels(metric, labels, y_pred, sample_weight)
            return
        labels = PartialLabels(labels.given)  # those that have all of it
    y_pred = as_column(y_pred)
    weight = labels.weight(sample_weight)
    rank = loss_rank(y_pred)
    if weight is not None and rank > 1:
        # One for each value: Keras's masks of padded steps are not broadcast on PyTorch.
        weight = ops.reshape(weight, (-1,) + (1,) * (rank - 1))
        weight = weight * ops.ones_like(y_pred[..., 0], dtype=weight.dtype)
    metric.update_state(align_labels(labels.values, y_pred), y_pred, sample_weight=weight)


def _update_pixels(
    metric: keras.metrics.Metric, labels: PartialLabels, y_pred: Any, sample_weight: Any
) -> None:
    """Updates a metric with the pixels that have a label, each a sample."""
    values, known = align_labels(labels.values, y_pred), align_labels(labels.known, y_pred)
    filled = ops.where(known, values, ops.zeros_like(values))
    pixels = ops.cast(of_pixels(known, len(y_pred.shape) - 1), "float32")
    weight = labels.weight(sample_weight)
    if weight is not None:
        pixels = pixels * ops.reshape(weight, (-1,) + (1,) * (len(pixels.shape) - 1))
    units = y_pred.shape[-1]
    by_pixel = (-1, units) if len(filled.shape) == len(y_pred.shape) else (-1,)
    metric.update_state(
        ops.reshape(filled, by_pixel),
        ops.reshape(y_pred, (-1, units)),
        sample_weight=ops.reshape(pixels, (-1,)),
    )


def entries_known_to(metric: keras.metrics.Metric) -> Entries | None:
    """What a metric knows by itself of numbers of a label that are missing."""
    found: Entries | None = getattr(metric, "by_entry", None)
    return found


def nan_unless(known: Any, value: Any) -> Any:
    """The value, or NaN where it is not known."""
    return ops.where(known, value, np.nan)


def as_metric(metric: Any) -> keras.metrics.Metric:
    """The Keras metric that is meant, without the mask of a `MaskedMetric`."""
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
