"""Ordered classes: grades, severities, ages in steps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit._counts import check_count
from mtlkit.heads._labels import check_classes
from mtlkit.heads._pooled_head import PooledHead
from mtlkit.heads.targets.thresholds import ThresholdsTarget
from mtlkit.losses.masked import MaskedLoss
from mtlkit.losses.ordinal import METHODS, Method
from mtlkit.metrics.kappa import QuadraticKappa
from mtlkit.metrics.masked import MaskedMetric
from mtlkit.metrics.ordinal import OrdinalAccuracy, OrdinalMeanAbsoluteError
from mtlkit.space import Choice


@keras.saving.register_keras_serializable(package="mtlkit")
class OrdinalHead(PooledHead):
    """Predicts one of `num_classes` ordered classes, by the thresholds between them.

    The feature is read as by a `mtlkit.heads.ClassificationHead`, but the outputs are logits of
    the `num_classes - 1` thresholds, so that a class far from the label costs more than a
    neighbour. Labels are integers `0 ... num_classes - 1`, in their order, of shape `(batch,)` or
    `(batch, 1)`; -1 means unlabelled. The loss is `mtlkit.losses.OrdinalCrossEntropy`, the mean
    over the labelled samples.

    - `"corn"`: each threshold has weights of its own, and learns from the samples that come to it.
    - `"coral"`: all thresholds share one score and differ by a bias, which makes few weights.
      Probabilities of classes then come from one direction in feature space.

    Args:
        num_classes: Number of classes.
        method: `"corn"` or `"coral"`.
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
        `(batch, num_classes - 1)`, float32 logits.

    Raises:
        ValueError: If `num_classes < 2`, or another argument is out of range.

    Example:
        ```python
        import keras
        from mtlkit.heads import OrdinalHead

        features = keras.Input((8, 8, 16))
        head = OrdinalHead(num_classes=5)
        model = keras.Model(features, head(features))
        model.compile("adam", loss=head.default_loss(), metrics=head.default_metrics())
        ```

    Reference:
        [Cao et al., Rank consistent ordinal regression (CORAL),
        2020](https://arxiv.org/abs/1901.07884); [Shi et al., CORN,
        2021](https://arxiv.org/abs/2111.08851)
    """

    def __init__(
        self,
        num_classes: int,
        method: Method = "corn",
        pooling: str = "average",
        hidden_units: int = 128,
        dropout: float = 0.0,
        layer_norm: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_count("num_classes", num_classes, 2)
        self.coder = ThresholdsTarget(num_classes, method)
        units = 1 if method == "coral" else num_classes - 1
        super().__init__(units, pooling, hidden_units, dropout, layer_norm, data_format, **kwargs)
        self.num_classes = num_classes
        self.method = method

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.method == "coral":
            # Probabilities that fall evenly from class to class, as of a label not known.
            even = 1 - np.arange(1, self.num_classes) / self.num_classes
            self.bias = self.add_weight(
                name="bias",
                shape=(self.num_classes - 1,),
                initializer=lambda shape, dtype=None: ops.cast(np.log(even / (1 - even)), dtype),
                dtype="float32",
                autocast=False,  # the loss keeps its digits
            )

    def call(self, inputs: Any, mask: Any = None) -> Any:
        outputs = super().call(inputs, mask=mask)
        return outputs + self.bias if self.method == "coral" else outputs

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        return keras.KerasTensor((super().compute_output_spec(inputs).shape[0], self._outputs))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return super().compute_output_shape(input_shape)[0], self._outputs

    @property
    def _outputs(self) -> int:
        return self.coder.num_outputs

    def default_loss(self) -> keras.losses.Loss:
        return MaskedLoss(self.coder.loss())

    def default_metrics(self) -> list[keras.metrics.Metric]:
        count, decoder = self.num_classes, self.coder
        return [
            MaskedMetric(OrdinalMeanAbsoluteError(count, decoder=decoder, name="mae")),
            MaskedMetric(OrdinalAccuracy(count, within=0, decoder=decoder)),
            MaskedMetric(OrdinalAccuracy(count, within=1, decoder=decoder)),
            MaskedMetric(QuadraticKappa(count, decoder=decoder)),
        ]

    @property
    def primary_metric(self) -> tuple[str, str]:
        """The mean absolute error, in classes, to be minimised."""
        return "mae", "min"

    def decode_tensors(self, outputs: Any) -> dict[str, Any]:
        """Turns logits into classes.

        Args:
            outputs: Logits of shape `(samples, num_classes - 1)`.

        Returns:
            `"label"`, the median class, int32 of shape `(samples,)`; `"probability"` of all
            classes, float32 of shape `(samples, num_classes)`; and `"value"`, the mean class,
            float32 of shape `(samples,)`.
        """
        probability = self.coder.probability(outputs)
        return {
            "label": ops.cast(self.coder.position(outputs), "int32"),
            "probability": probability,
            "value": ops.sum(probability * ops.arange(self.num_classes, dtype="float32"), axis=-1),
        }

    def predictions(self, outputs: Any) -> Any:
        """Returns the probabilities of the classes, of shape `(batch, num_classes)`."""
        return self.coder.probability(outputs)

    def validate_labels(self, y: Any, task: str | None = None) -> None:
        check_classes(y, self.num_classes, task or self.name)

    @classmethod
    def search_space(cls) -> dict[str, Any]:
        return {"method": Choice(list(reversed(METHODS))), **super().search_space()}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "method": self.method,
        }
