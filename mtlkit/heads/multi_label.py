"""Several labels a sample, each of which is there or not."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._counts import check_count
from mtlkit.heads._labels import check_entries
from mtlkit.heads._pooled_head import PooledHead
from mtlkit.losses.masked import MaskedLoss
from mtlkit.losses.multi_label import MultiLabelCrossEntropy
from mtlkit.metrics.masked import MaskedMetric
from mtlkit.metrics.multi_label import LabelAccuracy, MeanAveragePrecision


@keras.saving.register_keras_serializable(package="mtlkit")
class MultiLabelHead(PooledHead):
    """Predicts `num_labels` independent labels, each 0 or 1, as logits.

    The feature is read as by a `mtlkit.heads.ClassificationHead`. Labels are numbers 0 or 1 of
    shape `(batch, num_labels)`; each may be missing by itself, as -1 or (floating point) NaN. The
    loss is the binary cross-entropy in nats, the mean over the labels of a sample that are there,
    and over the samples that have one; `ln 2` at chance.

    Attributes:
        thresholds: The probability above which each label is decoded as 1, a weight that is saved
            and does not train, of shape `(num_labels,)`; 0.5 until `adapt_thresholds` is called.

    Args:
        num_labels: Number of labels.
        pooling: How a map becomes a vector, as for `mtlkit.heads.ClassificationHead`, as are the
            following.
        hidden_units: Width of the hidden layer; 0 for none.
        dropout: Rate of dropout before the last layer.
        layer_norm: Whether to normalise the pooled vector of each sample.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, channels)`, or a map as in `mtlkit.layers.FeaturePooling`.

    Output shape:
        `(batch, num_labels)`, float32 logits.

    Raises:
        ValueError: If `num_labels < 1`, or another argument is out of range.

    Example:
        ```python
        import keras
        from mtlkit.heads import MultiLabelHead

        features = keras.Input((8, 8, 16))
        head = MultiLabelHead(num_labels=5)
        model = keras.Model(features, head(features))
        model.compile("adam", loss=head.default_loss(), metrics=head.default_metrics())
        ```
    """

    def __init__(
        self,
        num_labels: int,
        pooling: str = "average",
        hidden_units: int = 128,
        dropout: float = 0.0,
        layer_norm: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_count("num_labels", num_labels, 1)
        super().__init__(
            num_labels, pooling, hidden_units, dropout, layer_norm, data_format, **kwargs
        )
        self.num_labels = num_labels

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.thresholds = self.add_weight(
            name="thresholds",
            shape=(self.num_labels,),
            initializer=keras.initializers.Constant(0.5),
            trainable=False,
            dtype="float32",
        )

    def default_loss(self) -> keras.losses.Loss:
        return MaskedLoss(MultiLabelCrossEntropy())

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [
            MaskedMetric(MeanAveragePrecision(self.num_labels)),
            MaskedMetric(LabelAccuracy()),
        ]

    @property
    def primary_metric(self) -> tuple[str, str]:
        """The mean average precision, to be maximised."""
        return "mean_average_precision", "max"

    def adapt_thresholds(self, y: ArrayLike, outputs: Any) -> NDArray[np.float32]:
        """Sets the threshold of each label to the one with the best F1, by data held out.

        A threshold lies half-way between two probabilities. A label of which the data have only
        one value keeps the threshold that it has.

        Args:
            y: Labels of shape `(samples, num_labels)`, -1 or NaN where missing.
            outputs: Logits of the same shape, such as `model.predict(x)["tags"]`.

        Returns:
            The thresholds, of shape `(num_labels,)`.

        Raises:
            ValueError: If the head is not built, or the labels do not fit it.
        """
        if not self.built:
            raise ValueError(
                "Expected a head that is built, in a model that has predicted. Received: a new one"
            )
        self.validate_labels(y)
        true = np.asarray(y, "float64")
        probability = self.decode(outputs)["probability"]
        found = np.array(keras.ops.convert_to_numpy(self.thresholds))
        for label in range(self.num_labels):
            known = true[:, label] >= 0
            values = true[known, label]
            if 0 < values.sum() < len(values):
                found[label] = _best_threshold(values, probability[known, label])
        self.thresholds.assign(found)
        return found

    def decode_tensors(self, outputs: Any) -> dict[str, Any]:
        """Turns logits into labels.

        Args:
            outputs: Logits of shape `(samples, num_labels)`.

        Returns:
            `"labels"`, 0 or 1 by the thresholds, int32, and `"probability"` of each label,
            float32, both of shape `(samples, num_labels)`.
        """
        probability = keras.ops.sigmoid(keras.ops.cast(outputs, "float32"))
        thresholds = self.thresholds if self.built else 0.5
        return {
            "labels": keras.ops.cast(probability > thresholds, "int32"),
            "probability": probability,
        }

    def predictions(self, outputs: Any) -> Any:
        """Returns the probabilities of the labels, of shape `(batch, num_labels)`."""
        return keras.ops.sigmoid(outputs)

    def validate_labels(self, y: Any, task: str | None = None) -> None:
        check_entries(y, self.num_labels, task or self.name)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_labels": self.num_labels}


def _best_threshold(true: NDArray, probability: NDArray) -> float:
    """The threshold with the best F1 of one label, the highest of several."""
    order = np.argsort(-probability, kind="stable")
    falling, hits = probability[order], np.cumsum(true[order])
    # F1 of saying yes to the first n, where the next one is less likely.
    scores = 2 * hits / (np.arange(1, len(true) + 1) + true.sum())
    ends = np.append(falling[:-1] > falling[1:], True)
    best = int(np.argmax(np.where(ends, scores, -1)))
    below = falling[best + 1] if best + 1 < len(falling) else 0.0
    return float((falling[best] + below) / 2)
