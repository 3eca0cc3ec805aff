"""Classification: one label out of several classes."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit._counts import check_count
from mtlkit.heads._labels import check_classes
from mtlkit.heads._logits import decode_logits
from mtlkit.heads._pooled_head import PooledHead
from mtlkit.losses.masked import MaskedLoss
from mtlkit.metrics.masked import MaskedMetric


@keras.saving.register_keras_serializable(package="mtlkit")
class ClassificationHead(PooledHead):
    """Predicts one of `num_classes` classes, as logits.

    The feature is pooled to a vector, normalised, then read by a hidden layer and a linear
    one. Labels are integers `0 ... num_classes - 1`, of shape `(batch,)` or `(batch, 1)`; -1
    means unlabelled. The loss is the cross-entropy of the softmax of the logits (in nats;
    `ln num_classes` at chance), the mean over the labelled samples.

    Args:
        num_classes: Number of classes.
        pooling: How a map becomes a vector: `"average"`, `"max"`, `"flatten"`,
            `"attention"` or `"spatial_softmax"`. See `mtlkit.layers.FeaturePooling`.
        hidden_units: Width of the hidden layer; 0 for none.
        dropout: Rate of dropout before the last layer.
        layer_norm: Whether to normalise the pooled vector of each sample
            (`keras.layers.LayerNormalization`), so that contrast matters less.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, channels)`, or a map as in `mtlkit.layers.FeaturePooling`.

    Output shape:
        `(batch, num_classes)`, float32 logits.

    Raises:
        ValueError: If `num_classes < 2`, or another argument is out of range.

    Example:
        ```python
        import keras
        from mtlkit.heads import ClassificationHead

        features = keras.Input((8, 8, 16))
        head = ClassificationHead(num_classes=10)
        model = keras.Model(features, head(features))
        model.compile("adam", loss=head.default_loss(), metrics=head.default_metrics())
        ```
    """

    def __init__(
        self,
        num_classes: int,
        pooling: str = "average",
        hidden_units: int = 128,
        dropout: float = 0.0,
        layer_norm: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_count("num_classes", num_classes, 2)
        super().__init__(
            num_classes, pooling, hidden_units, dropout, layer_norm, data_format, **kwargs
        )
        self.num_classes = self.class_logits = num_classes

    def default_loss(self) -> keras.losses.Loss:
        return MaskedLoss(keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [MaskedMetric(keras.metrics.SparseCategoricalAccuracy(name="accuracy"))]

    @property
    def primary_metric(self) -> tuple[str, str]:
        """The accuracy, to be maximised."""
        return "accuracy", "max"

    def decode_tensors(self, outputs: Any) -> dict[str, Any]:
        """Turns logits into classes.

        Args:
            outputs: Logits of shape `(samples, num_classes)`.

        Returns:
            `"label"`, the likeliest class, int32 of shape `(samples,)`, and
            `"probability"` of all classes, float32 of shape `(samples, num_classes)`.
        """
        return decode_logits(outputs)

    def predictions(self, outputs: Any) -> Any:
        """Returns the probabilities of the classes, of shape `(batch, num_classes)`."""
        return keras.ops.softmax(outputs, axis=-1)

    def validate_labels(self, y: Any, task: str | None = None) -> None:
        check_classes(y, self.num_classes, task or self.name)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
