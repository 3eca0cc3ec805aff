"""The frame of metrics for ordered bins, on a circle or on a line."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.losses._distances import bin_distance, label_position


class BinMetric(keras.metrics.MeanMetricWrapper):
    """The mean of a function of the distance, in bins, between label and prediction.

    Subclasses say in `circular` whether bins are on a circle, and define `of_distance`.
    """

    circular = True

    def __init__(
        self,
        num_bins: int,
        label_period: float | None = None,
        decoder: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        if num_bins < 2:
            raise ValueError(f"Expected num_bins >= 2. Received: num_bins={num_bins}")
        if label_period is not None and not self.circular:
            raise ValueError(
                "Expected labels that are bins, where bins are on a line. "
                f"Received: label_period={label_period}"
            )
        super().__init__(self._of_batch, name=name, dtype=dtype)
        self.num_bins = num_bins
        self.label_period = label_period
        self.decoder = decoder

    def of_distance(self, bins: Any) -> Any:
        """Returns the metric of each sample from its distance in bins."""
        raise NotImplementedError(f"{type(self).__name__} must define of_distance().")

    def prepare(self, position: Any) -> Any:
        """Returns what distances are measured between: unless overridden, the positions."""
        return position

    def _of_batch(self, y_true: Any, y_pred: Any) -> Any:
        if self.decoder is None:
            predicted = ops.cast(ops.argmax(y_pred, axis=-1), "float32")
        else:
            predicted = self.decoder.position(y_pred)
        true = label_position(y_true, self.num_bins, self.label_period)
        predicted, true = self.prepare(predicted), self.prepare(true)
        return self.of_distance(bin_distance(predicted, true, self.num_bins, self.circular))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "num_bins": self.num_bins,
            "label_period": self.label_period,
            "decoder": keras.saving.serialize_keras_object(self.decoder),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BinMetric:
        decoder = keras.saving.deserialize_keras_object(config["decoder"])
        return cls(**{**config, "decoder": decoder})


class BinAccuracy(BinMetric):
    """Share of samples whose predicted bin is at most `within` bins from that of the label."""

    def __init__(
        self, num_bins: int, within: int = 1, name: str | None = None, **kwargs: Any
    ) -> None:
        if within < 0:
            raise ValueError(f"Expected within >= 0. Received: within={within}")
        name = name or (f"accuracy_within_{within}" if within else "accuracy")
        super().__init__(num_bins, name=name, **kwargs)
        self.within = within

    def prepare(self, position: Any) -> Any:
        return ops.round(position)

    def of_distance(self, bins: Any) -> Any:
        return ops.cast(bins <= self.within, "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "within": self.within}
