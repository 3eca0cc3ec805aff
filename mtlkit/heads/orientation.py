"""Orientation: which way round, as a bin on a circle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import Any

import keras
from keras import ops

from mtlkit._counts import check_count
from mtlkit.heads._designed_head import DesignedHead
from mtlkit.heads._labels import check_angles, check_classes
from mtlkit.heads.designs import (
    Design,
    HistogramDesign,
    OrbitDesign,
    PolarAndFlattenDesign,
    PolarDesign,
    PooledDesign,
)
from mtlkit.heads.head import LAST
from mtlkit.heads.targets import BinsTarget, MultiBinTarget, PhasesTarget, Target
from mtlkit.losses.masked import MaskedLoss
from mtlkit.metrics.circular import CircularAccuracy, CircularMeanAbsoluteError
from mtlkit.metrics.masked import MaskedMetric
from mtlkit.metrics.ordinal import OrdinalAccuracy, OrdinalMeanAbsoluteError
from mtlkit.space import Choice, Float, When


@dataclass(frozen=True)
class _SpatialDesign:
    """A way to treat positions: the layer, its fixed arguments, and what it needs."""

    design: type[Design]
    fixed: dict[str, Any] = field(default_factory=dict)
    turns_with_image: bool = False
    default_feature: str | tuple[str, ...] | None = None
    reads_orbit: bool = False


_BOTH = "polar_and_flatten"
#: The spatial designs by name.
SPATIAL_DESIGNS: dict[str, _SpatialDesign] = {
    "pool": _SpatialDesign(PooledDesign, {"pooling": "average", "hidden_units": 0}),
    "flatten": _SpatialDesign(PooledDesign, {"pooling": "flatten"}),
    "coord": _SpatialDesign(
        PooledDesign, {"pooling": "flatten", "use_coordinates": True, "bottleneck": 32}
    ),
    "spatial_softmax": _SpatialDesign(PooledDesign, {"pooling": "spatial_softmax"}),
    "attention": _SpatialDesign(PooledDesign, {"pooling": "attention"}),
    "polar": _SpatialDesign(PolarDesign, turns_with_image=True, default_feature="input"),
    _BOTH: _SpatialDesign(
        PolarAndFlattenDesign, turns_with_image=True, default_feature=("input", LAST)
    ),
    "orbit": _SpatialDesign(OrbitDesign, turns_with_image=True, reads_orbit=True),
    "gradient_histogram": _SpatialDesign(HistogramDesign, default_feature="input"),
}

#: The targets by name: what makes one from the arguments of the head.
TARGETS: dict[str, Callable[..., Target]] = {
    "onehot": BinsTarget,
    "smooth": BinsTarget,
    "von_mises": partial(BinsTarget, kind="von_mises"),
    "sincos": PhasesTarget,
    "phase_shift": partial(PhasesTarget, phases=(120, 240, 360)),
    "multibin": MultiBinTarget,
}
_SMOOTH = ("smooth", "von_mises")
_LOGITS = ("onehot", *_SMOOTH)
_LABELS = ("bins", "degrees")


@keras.saving.register_keras_serializable(package="mtlkit")
class OrientationHead(DesignedHead):
    """Predicts an orientation as one of `num_bins` bins around the circle.

    Bin `b` stands for a turn by `period * b / num_bins` degrees, counter-clockwise as
    displayed. Labels are integers `0 ... num_bins - 1`, of shape `(batch,)` or `(batch, 1)`,
    -1 meaning unlabelled; or angles in degrees, NaN meaning unlabelled. The loss is the mean
    over the labelled samples.

    What makes or breaks the task is `spatial`, how the head treats positions:

    - `"polar_and_flatten"`, the default, adds up `"polar"` on the `"input"` map and `"flatten"` on
      the last one: for objects that turn in the plane of the image, out of it, or both (see
      `mtlkit.heads.designs.PolarAndFlattenDesign`). On one map, both read that. With
      `circular=False` only `"flatten"` is left of it.
    - `"polar"` reads the map in polar coordinates with weights shared over angles, so that
      turning the image shifts the logits (see `mtlkit.heads.designs.PolarDesign`). It is at
      its best on the backbone's `"input"` map, which it takes unless the task names another.
    - `"orbit"` reads the features of the image's four quarter turns with the same weights
      (see `mtlkit.heads.designs.OrbitDesign`). `MultiTaskModel` runs the backbone over the
      turns by itself, which then costs four times as much; in a model of your own put
      `mtlkit.layers.RotationOrbit(backbone)` before the head.
    - `"flatten"` keeps every position, and learns each orientation by itself; `"coord"` does
      so after appending coordinates and a 1x1 convolution.
    - `"attention"` reads the map with learned queries that know positions, and
      `"spatial_softmax"` where each channel is active.
    - `"gradient_histogram"` reads a fixed descriptor of the edges of the `"input"` map: a
      cheap control.
    - `"pool"` averages positions away: the control, which is often stuck.

    `target` is what a label is turned into:

    - `"onehot"`: each bin is a class. The best for accuracy.
    - `"smooth"`, `"von_mises"`: neighbouring bins share the label (see
      `mtlkit.losses.soft_bin_labels`): fewer large errors, less accuracy.
    - `"sincos"`, `"phase_shift"`: the angle itself, as its cosine and sine or its cosines at
      three phases.
    - `"multibin"`: a bin and the angle left over, for labels in degrees.

    Args:
        num_bins: Number of bins around the circle.
        spatial: The design, one of those above.
        target: The target, one of those above.
        width: Width of smooth labels, in bins. `None`: 0.5 for smooth targets.
        emd_weight: Weight of the circular earth mover's distance that is added to the
            cross-entropy (see `mtlkit.losses.CircularCrossEntropy`).
        decision: `"likeliest"`: predicts what the outputs say. `"least_cost"`: the bin whose
            expected distance to the label is least (CRM).
        circular: Whether bins are on a circle. `False`: ordered bins on a line, such as
            ages, which have no angle.
        period: Degrees after which objects look the same: 360, or 180 or 90 (or another
            part of 360) for symmetric ones. Bins divide this period.
        labels: `"bins"` or `"degrees"`.
        hidden_units: Width of the hidden layer. `None`: that of the design, as are the
            following.
        dropout: Rate of dropout before the last layers.
        bottleneck: Channels of a 1x1 convolution before the map is read, for designs that
            flatten it.
        filters: Channels of the circular convolutions, for `"polar"`.
        jitter: How much the polar grid varies in training, for `"polar"`.
        num_radii: Number of radii sampled, for `"polar"`. `None`: half of the map's shorter
            side.
        cells: Cells along each side, for `"gradient_histogram"`.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        A map `(batch, height, width, channels)`, or `(batch, channels, height, width)`; for
        `"orbit"` with an axis of four turns after the batch, which no other design reads.
        `"pool"`, `"flatten"`, `"attention"` and `"orbit"` read vectors `(batch, channels)`, too.

    Output shape:
        `(batch, num_bins)` logits, float32. For `"sincos"` `(batch, 2)`, for `"phase_shift"`
        `(batch, 3)`, for `"multibin"` `(batch, 2 * num_bins)`.

    Raises:
        ValueError: If an argument is out of range, or given to a design or target that has
            no use for it; or if the input is not such a map.

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
        [Esteves et al., Polar Transformer Networks, 2018](https://arxiv.org/abs/1709.01889);
        [Dieleman et al., Exploiting Cyclic Symmetry, 2016](https://arxiv.org/abs/1602.02660);
        [Yang and Yan, Circular Smooth Label, 2020](https://arxiv.org/abs/2003.05597);
        [Yu and Da, Phase-Shifting Coder, 2023](https://arxiv.org/abs/2211.06368)
    """

    def __init__(
        self,
        num_bins: int,
        spatial: str = _BOTH,
        target: str = "onehot",
        *,
        width: float | None = None,
        emd_weight: float = 0.0,
        decision: str = "likeliest",
        circular: bool = True,
        period: float = 360.0,
        labels: str = "bins",
        hidden_units: int | None = None,
        dropout: float | None = None,
        bottleneck: int | None = None,
        filters: Sequence[int] | None = None,
        jitter: float | None = None,
        num_radii: int | None = None,
        cells: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_count("num_bins", num_bins, 2)
        _check_choice("spatial", spatial, SPATIAL_DESIGNS)
        _check_choice("target", target, TARGETS)
        _check_choice("labels", labels, _LABELS)
        self.num_bins = num_bins
        # On a line nothing rolls: of the default only one part is left.
        self.spatial = "flatten" if not circular and spatial == _BOTH else spatial
        self.target = target
        self.width = width
        self.emd_weight = emd_weight
        self.decision = decision
        self.circular = circular
        self.period = period
        self.labels = labels
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.bottleneck = bottleneck
        self.filters = None if filters is None else tuple(filters)
        self.jitter = jitter
        self.num_radii = num_radii
        self.cells = cells
        self._check_circle()
        self.coder = self._make_target()
        self.design = self._make_design(data_format)
        self.data_format = self.design.data_format
        self.default_feature = SPATIAL_DESIGNS[self.spatial].default_feature
        self.reads_orbit = SPATIAL_DESIGNS[self.spatial].reads_orbit

    def build(self, input_shape: Any) -> None:
        shape = input_shape if self.design.conditioning is None else input_shape[0]
        if len(shape) > 4 and not self.reads_orbit:
            raise ValueError(
                "Expected a map with two spatial axes; the features of an image's four turns are "
                f'for spatial="orbit". Received: spatial={self.spatial!r}, '
                f"input_shape={tuple(shape)}"
            )
        super().build(input_shape)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return self.coder.outputs(self._designed(inputs, mask))

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        batch = keras.tree.flatten(inputs)[0].shape[0]
        return keras.KerasTensor((batch, self.coder.num_outputs), "float32")

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return self.design.compute_output_shape(input_shape)[0], self.coder.num_outputs

    def default_loss(self) -> keras.losses.Loss:
        return MaskedLoss(self.coder.loss())

    def default_metrics(self) -> list[keras.metrics.Metric]:
        if not self.circular:
            return [
                MaskedMetric(OrdinalAccuracy(self.num_bins, within=0, decoder=self.coder)),
                MaskedMetric(OrdinalAccuracy(self.num_bins, within=1, decoder=self.coder)),
                MaskedMetric(OrdinalMeanAbsoluteError(self.num_bins, decoder=self.coder)),
            ]
        options: dict[str, Any] = {
            "label_period": self.coder.label_period,
            "decoder": self.coder,
        }
        return [
            MaskedMetric(CircularAccuracy(self.num_bins, within=0, **options)),
            MaskedMetric(CircularAccuracy(self.num_bins, within=1, **options)),
            MaskedMetric(CircularMeanAbsoluteError(self.num_bins, self.period, **options)),
        ]

    @property
    def primary_metric(self) -> tuple[str, str]:
        """The accuracy, to be maximised."""
        return "accuracy", "max"

    def decode_tensors(self, outputs: Any) -> dict[str, Any]:
        """Turns outputs into orientations.

        Args:
            outputs: Outputs of shape `(samples, ...)`.

        Returns:
            `"label"`, the predicted bin, and `"probability"` of all bins, of shape
            `(samples, num_bins)`. On a circle also `"degrees"`, the predicted angle in
            `[0, period)`, and `"resultant_length"`, the mean resultant length of the
            probabilities: 1 where they sit on one bin, 0 where they are uniform or opposed.
            On a line also `"value"`, the predicted position in bins.
        """
        position = self.coder.position(outputs)
        decoded = {
            "label": ops.mod(ops.cast(ops.round(position), "int32"), self.num_bins),
            "probability": self.coder.probability(outputs),
        }
        if not self.circular:
            return {**decoded, "value": position}
        return {
            **decoded,
            "degrees": position * (self.period / self.num_bins),
            "resultant_length": self.coder.resultant_length(outputs),
        }

    def predictions(self, outputs: Any) -> Any:
        """Returns the probabilities of the bins, of shape `(batch, num_bins)`."""
        return self.coder.probability(outputs)

    def validate_labels(self, y: Any, task: str | None = None) -> None:
        if self.labels == "degrees":
            check_angles(y, task or self.name)
        else:
            check_classes(y, self.num_bins, task or self.name)

    @classmethod
    def search_space(cls) -> dict[str, Any]:
        """Returns what a search may try.

        All of it can be built if `num_bins` is a multiple of 4, and read from any map with two
        spatial axes. Other bins have no `"orbit"`, unless the period makes up for it;
        `mtlkit.search` leaves that out by itself.
        """
        return {
            "spatial": Choice(list(SPATIAL_DESIGNS)),
            "target": Choice(["onehot", "smooth", "von_mises", "sincos", "phase_shift"]),
            "width": When("target", list(_SMOOTH), Float(0.25, 1.5)),
            "emd_weight": When("target", list(_LOGITS), Choice([0.0, 0.1, 0.3])),
            "hidden_units": Choice([64, 128, 256]),
            "dropout": Float(0.0, 0.5),
            "filters": When(
                "spatial",
                ["polar", _BOTH],
                Choice([(16, 32), (32, 64), (32, 64, 64)]),
            ),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "spatial": self.spatial,
            "target": self.target,
            "width": self.width,
            "emd_weight": self.emd_weight,
            "decision": self.decision,
            "circular": self.circular,
            "period": self.period,
            "labels": self.labels,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "bottleneck": self.bottleneck,
            "filters": self.filters,
            "jitter": self.jitter,
            "num_radii": self.num_radii,
            "cells": self.cells,
            "data_format": self.data_format,
        }

    def _check_circle(self) -> None:
        if self.period <= 0 or 360 % self.period:
            raise ValueError(
                "Expected a period that divides 360 degrees, such as 180 for objects that look "
                f"the same after a half turn. Received: period={self.period}"
            )
        turns = SPATIAL_DESIGNS[self.spatial].turns_with_image
        if not self.circular and (turns or self.labels != "bins" or self.period != 360):
            still = [name for name, one in SPATIAL_DESIGNS.items() if not one.turns_with_image]
            raise ValueError(
                'Expected circular=False, which puts bins on a line, with labels="bins", without a '
                f"period, and with spatial one of {still}, which do not roll the bins. "
                f"Received: spatial={self.spatial!r}, labels={self.labels!r}, period={self.period}"
            )

    def _make_target(self) -> Target:
        options: dict[str, Any] = {
            "circular": self.circular,
            "label_period": self.period if self.labels == "degrees" else None,
            "decision": self.decision,
        }
        if self.target in _SMOOTH:
            options["width"] = 0.5 if self.width is None else self.width
        elif self.width is not None:
            raise ValueError(
                f"Expected a width only for smooth labels, target={_SMOOTH}. "
                f"Received: width={self.width}, target={self.target!r}"
            )
        if self.target in _LOGITS:
            options["emd_weight"] = self.emd_weight
        elif self.emd_weight:
            raise ValueError(
                f"Expected an emd_weight only with logits, target={_LOGITS}. "
                f"Received: emd_weight={self.emd_weight}, target={self.target!r}"
            )
        return TARGETS[self.target](self.num_bins, **options)

    def _make_design(self, data_format: str | None) -> Design:
        spatial = SPATIAL_DESIGNS[self.spatial]
        options = {
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "bottleneck": self.bottleneck,
            "filters": self.filters,
            "jitter": self.jitter,
            "num_radii": self.num_radii,
            "cells": self.cells,
        }
        given = {name: value for name, value in options.items() if value is not None}
        unused = sorted(given.keys() - signature(spatial.design).parameters.keys())
        if unused:
            on_line = self.spatial == "flatten" and not self.circular
            why = " (the default with circular=False)" if on_line else ""
            raise ValueError(
                f'Expected no argument that spatial="{self.spatial}"{why} has no use for. '
                f"Received: {', '.join(f'{name}={given[name]!r}' for name in unused)}"
            )
        channels = self.coder.channels
        if spatial.turns_with_image:
            folds = round(360 / self.period)
            size = {"num_bins": self.num_bins, "channels": channels, "folds": folds}
        else:
            size = {"units": self.num_bins * channels}
        return spatial.design(
            **size,
            data_format=data_format,
            dtype=self.dtype_policy,
            name="design",
            **{**spatial.fixed, **given},
        )


def _check_choice(argument: str, value: Any, known: Any) -> None:
    if value not in known:
        raise ValueError(
            f"Expected {argument} to be one of {list(known)}. Received: {argument}={value!r}"
        )
