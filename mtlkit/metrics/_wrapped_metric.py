"""A metric that hands another one what that reads."""

from __future__ import annotations

from typing import Any, Self

import keras


class WrappedMetric(keras.metrics.Metric):
    """Holds another metric, `self.metric`, which has the result and is saved with it."""

    metric: keras.metrics.Metric

    def result(self) -> Any:
        return self.metric.result()

    def reset_state(self) -> None:
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "metric": keras.saving.serialize_keras_object(self.metric)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        metric = keras.saving.deserialize_keras_object(config["metric"])
        return cls(**{**config, "metric": metric})
