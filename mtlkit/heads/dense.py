"""Dense prediction: a class or values for each pixel."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit._counts import check_count
from mtlkit.heads._labels import check_pixel_classes, check_pixel_values
from mtlkit.heads._logits import decode_logits
from mtlkit.heads._standardized_head import StandardizedHead, make_standardization
from mtlkit.heads.designs import PyramidDesign
from mtlkit.heads.head import PYRAMID
from mtlkit.losses._partial_labels import Entries
from mtlkit.losses.masked import MaskedLoss
from mtlkit.metrics.masked import MaskedMetric
from mtlkit.metrics.mean_iou import MeanIoU
from mtlkit.metrics.relative_error import RelativeError
from mtlkit.space import Choice, Float


@keras.saving.register_keras_serializable(package="mtlkit")
class DenseHead(StandardizedHead):
    """Predicts a class, or `units` values, for each pixel of an image.

    In a `mtlkit.MultiTaskModel` the head reads one map of each size that the backbone has, or
    those that its task names, and its outputs have the size of the image. It joins the maps as
    `mtlkit.heads.designs.PyramidDesign` does.

    - With `num_classes`, labels are integers of shape `(samples, height, width)`, and the loss is
      the cross-entropy in nats: `ln num_classes` at chance. Metrics are the mean intersection
      over union (Jaccard index) of the classes that occur, and the accuracy.
    - With `units`, labels are numbers of shape `(samples, height, width, units)`, or `(samples,
      height, width)` where `units` is 1, and the loss is the mean absolute error, of standardised
      labels as in `mtlkit.heads.RegressionHead`. Metrics are the mean absolute error and
      the mean of `|output - y| / |y|` where `y` is not 0.

    Each pixel may be without a label: -1 among integers, NaN among floating-point numbers. Loss
    and metrics are means over the pixels that have one.

    Args:
        num_classes: Number of classes. Give either this or `units`.
        units: Number of values a pixel.
        channels: Channels of the features that the maps are joined to.
        dropout: Rate of dropout before the last layer.
        data_format: `"channels_last"` or `"channels_first"`, of the maps. `None`:
            `keras.config.image_data_format()`.
        standardize: Whether values are trained on standardised labels; of no effect for classes.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        A list `[image, map, ...]`, of which only the size of the image is used, or one map, see
        `mtlkit.heads.designs.PyramidDesign`.

    Output shape:
        `(batch, height, width, num_classes)`, logits, or `(batch, height, width, units)`, values
        in the unit of the labels: float32, the channels last in either data format.

    Raises:
        ValueError: If not just one of `num_classes` and `units` is given, or an argument is out
            of range.

    Example:
        ```python
        import mtlkit as mtl

        model = mtl.MultiTaskModel(
            mtl.backbones.ConvBackbone((64, 64, 3)),
            [
                mtl.Task("mask", mtl.heads.DenseHead(num_classes=2)),
                mtl.Task("depth", mtl.heads.DenseHead(units=1)),
            ],
        )
        assert model.output["mask"].shape == (None, 64, 64, 2)
        ```
    """

    default_feature = PYRAMID
    reads_image_size = True

    def __init__(
        self,
        num_classes: int | None = None,
        units: int | None = None,
        channels: int = 64,
        dropout: float = 0.0,
        data_format: str | None = None,
        standardize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (num_classes is None) == (units is None):
            raise ValueError(
                "Expected either num_classes, for a class a pixel, or units, for values. "
                f"Received: num_classes={num_classes!r}, units={units!r}"
            )
        if num_classes is not None:
            check_count("num_classes", num_classes, 2)
        self.num_classes = num_classes
        self.units = units
        self.channels = channels
        self.dropout = dropout
        self.standardize = standardize
        self.entries: Entries = "values" if num_classes is None else "classes"
        known = make_standardization(units or 1, standardize)
        self.standardization = None if units is None else known
        self.design = PyramidDesign(
            num_classes or units or 0,
            channels,
            dropout,
            data_format=data_format,
            dtype=self.dtype_policy,
            name="design",
        )
        self.data_format = self.design.data_format
        self._size: tuple[int | None, ...] = (None, None)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self._size = tuple(self.compute_output_shape(input_shape)[1:3])

    def default_loss(self) -> keras.losses.Loss:
        if self.num_classes is None:
            return self.training_loss(keras.losses.MeanAbsoluteError())
        return self.training_loss(keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def training_loss(self, loss: Any = None) -> keras.losses.Loss:
        if loss is None:
            return self.default_loss()
        return self.in_training_units(MaskedLoss(loss, by_entry=self.entries))

    def default_metrics(self) -> list[keras.metrics.Metric]:
        metrics = [keras.metrics.MeanAbsoluteError(name="mae"), RelativeError()]
        if self.num_classes is not None:
            metrics = [
                MeanIoU(self.num_classes),
                keras.metrics.SparseCategoricalAccuracy(name="pixel_accuracy"),
            ]
        return [MaskedMetric(metric, by_entry=self.entries) for metric in metrics]

    @property
    def primary_metric(self) -> tuple[str, str]:
        """The mean intersection over union, to be maximised, or the error, to be minimised."""
        return ("mae", "min") if self.num_classes is None else ("mean_iou", "max")

    def decode_tensors(self, outputs: Any) -> dict[str, Any]:
        """Turns outputs into what each pixel shows.

        Args:
            outputs: Outputs of shape `(samples, height, width, num_classes)`, or `units`.

        Returns:
            `"label"`, int32, of shape `(samples, height, width)`, and `"probability"`, float32, of
            the shape of the outputs; or `"value"`, without the last axis where `units` is 1.
        """
        if self.num_classes is None:
            return {"value": outputs[..., 0] if self.units == 1 else outputs}
        return decode_logits(outputs)

    def predictions(self, outputs: Any) -> Any:
        """Returns each class's share of the image, or the mean of each value."""
        if self.num_classes is None:
            return self.standardized(ops.mean(outputs, axis=(1, 2)))
        return ops.mean(ops.softmax(outputs), axis=(1, 2))

    def validate_labels(self, y: Any, task: str | None = None) -> None:
        if self.num_classes is None:
            check_pixel_values(y, self.units or 1, self._size, task or self.name)
        else:
            check_pixel_classes(y, self.num_classes, self._size, task or self.name)

    @classmethod
    def search_space(cls) -> dict[str, Any]:
        return {"channels": Choice([32, 64, 128]), "dropout": Float(0.0, 0.5)}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "units": self.units,
            "channels": self.channels,
            "dropout": self.dropout,
            "data_format": self.data_format,
            "standardize": self.standardize,
        }
