"""Orientation: which way round, as a bin on a circle."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import keras
import numpy as np

from mtlkit.heads.designed_head import DesignedHead
from mtlkit.heads.designs import PolarDesign, PooledDesign
from mtlkit.heads.labels import check_classes
from mtlkit.losses.masked import MaskedLoss
from mtlkit.metrics.circular import CircularAccuracy, CircularMeanAbsoluteError
from mtlkit.metrics.masked import MaskedMetric
from mtlkit.space import Choice, Float, When

#: The spatial designs: the layer that computes the logits, and its fixed arguments.
SPATIAL_DESIGNS: dict[str, tuple[type[keras.layers.Layer], dict[str, Any]]] = {
    "pool": (PooledDesign, {"pooling": "average", "hidden_units": 0}),
    "flatten": (PooledDesign, {"pooling": "flatten"}),
    "polar": (PolarDesign, {}),
}

#: The targets that a label may be turned into.
TARGETS = ("onehot",)


@keras.saving.register_keras_serializable(package="mtlkit")
class OrientationHead(DesignedHead):
    """Predicts an orientation as one of `num_bins` bins around the circle, as logits.

    Bin `b` stands for a turn by `360 b / num_bins` degrees, counter-clockwise as displayed.
    Labels are integers `0 ... num_bins - 1`, of shape `(batch,)` or `(batch, 1)`; -1 means
    unlabelled. The loss is the cross-entropy (in nats; `ln num_bins` at chance), the mean
    over the labelled samples.

    What makes or breaks the task is `spatial`, how the head treats positions:

    - `"polar"` reads the map in polar coordinates with weights shared over angles, so that
      turning the image shifts the logits (see `mtlkit.heads.designs.PolarDesign`). It is at
      its best on the backbone's `"input"` map, which it takes unless the task names another.
    - `"flatten"` keeps every position, and learns each orientation by itself.
    - `"pool"` averages positions away: the control, which is often stuck.

    Args:
        num_bins: Number of bins around the circle.
        spatial: `"polar"`, `"flatten"` or `"pool"`.
        target: `"onehot"`: each bin is a class.
        hidden_units: Width of the hidden layer. `None`: that of the design.
        dropout: Rate of dropout before the last layers. `None`: that of the design.
        filters: Channels of the circular convolutions, for `"polar"` only. `None`: those
            of the design.
        num_radii: Number of radii sampled, for `"polar"` only. `None`: half of the map's
            shorter side.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        A map `(batch, height, width, channels)`, or `(batch, channels, height, width)`.

    Output shape:
        `(batch, num_bins)`, float32 logits.

    Raises:
        ValueError: If an argument is out of range, or given to a design that has no use
            for it.

    Example:
        ```python
        import keras
        from mtlkit.heads import OrientationHead

        image = keras.Input((32, 32, 1))
        head = OrientationHead(num_bins=32)
        model = keras.Model(image, head(image))
        model.compile("adam", loss=head.default_loss(), metrics=head.default_metrics())
        ```

    Reference:
        [Esteves et al., Polar Transformer Networks, 2018](https://arxiv.org/abs/1709.01889)
    """

    def __init__(
        self,
        num_bins: int,
        spatial: str = "polar",
        target: str = "onehot",
        hidden_units: int | None = None,
        dropout: float | None = None,
        filters: Sequence[int] | None = None,
        num_radii: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_bins < 2:
            raise ValueError(f"Expected num_bins >= 2. Received: num_bins={num_bins}")
        if spatial not in SPATIAL_DESIGNS:
            raise ValueError(
                f"Expected spatial to be one of {list(SPATIAL_DESIGNS)}. Received: {spatial!r}"
            )
        if target not in TARGETS:
            raise ValueError(f"Expected target to be one of {list(TARGETS)}. Received: {target!r}")
        self.num_bins = num_bins
        self.spatial = spatial
        self.target = target
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.filters = None if filters is None else tuple(filters)
        self.num_radii = num_radii
        self.design = self._make_design(data_format)
        self.data_format = self.design.data_format
        self.default_feature = "input" if spatial == "polar" else None

    def default_loss(self) -> keras.losses.Loss:
        return MaskedLoss(keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [
            MaskedMetric(keras.metrics.SparseCategoricalAccuracy(name="accuracy")),
            MaskedMetric(CircularAccuracy(self.num_bins, within=1)),
            MaskedMetric(CircularMeanAbsoluteError(self.num_bins)),
        ]

    @property
    def primary_metric(self) -> tuple[str, str]:
        """The accuracy, to be maximised."""
        return "accuracy", "max"

    def decode(self, outputs: Any) -> dict[str, np.ndarray]:
        """Turns logits into orientations.

        Args:
            outputs: Logits of shape `(samples, num_bins)`.

        Returns:
            `"label"`, the likeliest bin; `"degrees"`, its angle in `[0, 360)`;
            `"probability"` of all bins, of shape `(samples, num_bins)`; and
            `"resultant_length"`, the mean resultant length of the probabilities: 1 where
            they sit on one bin, 0 where they are uniform or opposed.
        """
        from scipy.special import softmax

        probability = softmax(keras.ops.convert_to_numpy(outputs), axis=-1)
        label = probability.argmax(axis=-1)
        directions = np.exp(2j * np.pi * np.arange(self.num_bins) / self.num_bins)
        return {
            "label": label,
            "degrees": label * (360.0 / self.num_bins),
            "probability": probability,
            "resultant_length": np.abs(probability @ directions),
        }

    def validate_labels(self, y: Any, task: str | None = None) -> None:
        check_classes(y, self.num_bins, task or self.name)

    @classmethod
    def search_space(cls) -> dict[str, Any]:
        return {
            "spatial": Choice(list(SPATIAL_DESIGNS)),
            "hidden_units": Choice([64, 128, 256]),
            "dropout": Float(0.0, 0.5),
            "filters": When("spatial", "polar", Choice([(16, 32), (32, 64), (32, 64, 64)])),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "spatial": self.spatial,
            "target": self.target,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "filters": self.filters,
            "num_radii": self.num_radii,
            "data_format": self.data_format,
        }

    def _make_design(self, data_format: str | None) -> keras.layers.Layer:
        design, fixed = SPATIAL_DESIGNS[self.spatial]
        options = {
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "filters": self.filters,
            "num_radii": self.num_radii,
        }
        given = {name: value for name, value in options.items() if value is not None}
        unused = sorted(given.keys() - signature(design).parameters.keys())
        if unused:
            raise ValueError(
                f'Expected no argument that spatial="{self.spatial}" has no use for. '
                f"Received: {', '.join(f'{name}={given[name]!r}' for name in unused)}"
            )
        return design(
            self.num_bins,
            data_format=data_format,
            dtype=self.dtype_policy,
            name="design",
            **{**fixed, **given},
        )
