"""Regression: one or several numbers."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.heads._labels import check_values
from mtlkit.heads._pooled_head import PooledHead
from mtlkit.heads._standardized_head import StandardizedHead, make_standardization
from mtlkit.losses.masked import MaskedLoss
from mtlkit.metrics.masked import MaskedMetric


@keras.saving.register_keras_serializable(package="mtlkit")
class RegressionHead(StandardizedHead, PooledHead):
    """Predicts `units` numbers.

    The feature is pooled to a vector, then read by a hidden layer and a linear one. Labels
    are finite numbers of shape `(batch, units)`, or `(batch,)` where `units` is 1; NaN
    means unlabelled. The loss is the mean squared error over the labelled samples.

    With `standardize=True` the unit of the labels does not matter: the head trains on labels
    less their mean, over their standard deviation, while outputs and metrics stay in the
    user's unit, `raw * scale + mean`. The loss is `mean(((y - outputs) / scale)**2)`, 1 at
    the best constant; so is a loss of the user's own computed of standardised labels and
    outputs. The first `fit` of a `mtlkit.MultiTaskModel` takes mean and scale from its
    labelled training samples; in plain Keras call `adapt` before `fit`. They are saved, and
    not taken again.

    Args:
        units: Number of values.
        pooling: How a map becomes a vector: `"average"`, `"max"`, `"flatten"` or
            `"attention"`. See `mtlkit.layers.FeaturePooling`.
        hidden_units: Width of the hidden layer; 0 for none.
        dropout: Rate of dropout before the last layer.
        layer_norm: Whether to normalise the pooled vector of each sample, for values that do
            not depend on contrast.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        standardize: Whether to train on standardised labels. `False`: on labels as they are.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, channels)`, or a map as in `mtlkit.layers.FeaturePooling`.

    Output shape:
        `(batch, units)`, float32, in the unit of the labels.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        ```python
        import keras
        from mtlkit.heads import RegressionHead

        features = keras.Input((8, 8, 16))
        head = RegressionHead()
        model = keras.Model(features, head(features))
        head.adapt([3000.0, 4500.0, 10000.0])  # the training labels
        model.compile("adam", loss=head.default_loss(), metrics=head.default_metrics())
        ```
    """

    def __init__(
        self,
        units: int = 1,
        pooling: str = "average",
        hidden_units: int = 128,
        dropout: float = 0.0,
        layer_norm: bool = False,
        data_format: str | None = None,
        standardize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, pooling, hidden_units, dropout, layer_norm, data_format, **kwargs)
        self.units = units
        self.standardize = standardize
        self.standardization = make_standardization(units, standardize)

    def default_loss(self) -> keras.losses.Loss:
        return self.in_training_units(MaskedLoss(keras.losses.MeanSquaredError()))

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [MaskedMetric(keras.metrics.MeanAbsoluteError(name="mae"))]

    @property
    def primary_metric(self) -> tuple[str, str]:
        """The mean absolute error, to be minimised."""
        return "mae", "min"

    def decode_tensors(self, outputs: Any) -> dict[str, Any]:
        """Turns outputs into values.

        Args:
            outputs: Outputs of shape `(samples, units)`.

        Returns:
            `"value"`, of shape `(samples,)` where `units` is 1, else `(samples, units)`.
        """
        return {"value": outputs[:, 0] if self.units == 1 else outputs}

    def predictions(self, outputs: Any) -> Any:
        """Returns the values, of shape `(batch, units)`; standardised if the head does so."""
        return self.standardized(super().predictions(outputs))

    def validate_labels(self, y: Any, task: str | None = None) -> None:
        check_values(y, self.units, task or self.name)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "standardize": self.standardize}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> RegressionHead:
        # Files of version 0.1.0 have heads that did not standardise.
        return cls(**{"standardize": False, **config})
