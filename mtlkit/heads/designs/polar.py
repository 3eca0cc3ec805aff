"""Polar coordinates and circular convolutions: turning the image shifts the logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlkit.heads.designs.design import Design, build
from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers.circular_conv import CircularConv2D
from mtlkit.layers.polar import PolarResample
from mtlkit.layers.reproducible_dropout import ReproducibleDropout

#: A map is read at no fewer angles than this, whatever the number of bins.
_LEAST_ANGLES = 64


@keras.saving.register_keras_serializable(package="mtlkit")
class PolarDesign(Design):
    """Reads a map in polar coordinates, with weights shared over all angles.

    The map is resampled to polar coordinates, standardised sample by sample (so that
    brightness and contrast do not matter), convolved circularly along the angle, gathered
    over the radii, and read by a full-circle convolution: one output an angle, each seeing
    the whole map as if it were turned to that angle. So turning the image rolls the outputs.
    On the model's input, a turn by 90 degrees rolls them by exactly `folds * num_bins / 4`
    bins (if that is whole), with whatever weights. In training the grid is jittered, see
    `mtlkit.layers.PolarResample`.

    Args:
        num_bins: Number of bins around the circle.
        channels: Number of outputs a bin.
        folds: How often the bins go around the circle: 2 for objects that look the same after
            a half turn.
        filters: Channels of the circular convolutions. Each halves the number of radii.
        hidden_units: Channels of the full-circle convolution.
        dropout: Rate of dropout before the full-circle convolution.
        jitter: How much the grid varies in training, as a share of the radius.
        num_radii: Number of radii to sample. `None`: half of the map's shorter side.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`.

    Output shape:
        `(batch, num_bins * channels)`, float32.

    Raises:
        ValueError: If an argument is out of range, or the input is not a map of known height
            and width.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.heads.designs import PolarDesign

        image = np.random.default_rng(0).random((1, 16, 16, 1), dtype="float32")
        design = PolarDesign(num_bins=32, data_format="channels_last")
        outputs = ops.convert_to_numpy(design(image))
        turned = ops.convert_to_numpy(design(np.rot90(image, axes=(1, 2))))
        assert np.allclose(turned, np.roll(outputs, 8, axis=1), atol=1e-4)
        ```

    Reference:
        [Esteves et al., Polar Transformer Networks, 2018](https://arxiv.org/abs/1709.01889);
        [Kim et al., CyCNN, 2020](https://arxiv.org/abs/2007.10588)
    """

    def __init__(
        self,
        num_bins: int,
        channels: int = 1,
        folds: int = 1,
        filters: Sequence[int] = (32, 64),
        hidden_units: int = 128,
        dropout: float = 0.3,
        jitter: float = 0.08,
        num_radii: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_bins * channels, **kwargs)
        if folds < 1:
            raise ValueError(f"Expected folds >= 1. Received: folds={folds}")
        if hidden_units < 1:
            raise ValueError(f"Expected hidden_units >= 1. Received: hidden_units={hidden_units}")
        if not filters or min(filters) < 1:
            raise ValueError(f"Expected filters >= 1, at least one. Received: filters={filters}")
        self.num_bins = num_bins
        self.channels = channels
        self.folds = folds
        self.filters = tuple(filters)
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.jitter = jitter
        self.num_radii = num_radii
        self.data_format = standardize_data_format(data_format)

        policy = self.dtype_policy
        around = num_bins * folds
        oversampling = math.ceil(_LEAST_ANGLES / around)
        self.resample = PolarResample(
            around * oversampling,
            num_radii,
            jitter,
            data_format="channels_last",
            dtype=policy,
            name="resample",
        )
        self.standardize = keras.layers.LayerNormalization(
            axis=(1, 2, 3),
            center=False,
            scale=False,
            epsilon=1e-5,
            dtype=policy,
            name="standardize",
        )
        # The angular step of each convolution, and how many angles it finds on the circle.
        steps = [(oversampling, around * oversampling)] + [(1, around)] * (len(self.filters) - 1)
        self.convs = [
            CircularConv2D(
                channels,
                (3, min(max(5, 2 * step + 1), angles)),  # wide enough that no angle is skipped
                strides=(2, step),
                activation="relu",
                dtype=policy,
                name=f"conv{number}",
            )
            for number, (channels, (step, angles)) in enumerate(
                zip(self.filters, steps, strict=True), 1
            )
        ]
        self.gather = keras.layers.Dense(
            self.filters[-1], activation="relu", dtype=policy, name="gather"
        )
        self.drop = ReproducibleDropout(dropout, dtype=policy, name="dropout")
        self.circle = CircularConv2D(
            hidden_units, (1, around), activation="relu", dtype=policy, name="circle"
        )
        self.outputs = keras.layers.Dense(channels, dtype="float32", name="outputs")

    def build_features(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        if len(input_shape) != 4:
            raise ValueError(
                "Expected a map with two spatial axes, to read it in polar coordinates. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        shape: tuple[Any, ...] = self._channels_last(input_shape)
        for layer in (self.resample, self.standardize, *self.convs):
            shape = build(layer, shape)
        batch, radii, angles, channels = shape
        shape = build(self.gather, (batch, angles, radii * channels))
        shape = build(self.circle, build(self.drop, (batch, 1, angles, shape[-1])))
        return batch, angles, shape[-1]

    def features(self, inputs: Any) -> Any:
        first = self.data_format == "channels_first"
        x = ops.transpose(inputs, (0, 2, 3, 1)) if first else inputs
        for layer in (self.resample, self.standardize, *self.convs):
            x = layer(x)
        radii, angles, channels = x.shape[1:]
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, angles, radii * channels))
        x = ops.expand_dims(self.gather(x), 1)
        return ops.squeeze(self.circle(self.drop(x)), 1)

    def build_read(self, input_shape: tuple[int | None, ...]) -> None:
        build(self.outputs, input_shape)

    def read(self, features: Any) -> Any:
        around = ops.reshape(self.outputs(features), (-1, self.folds, self.units))
        return ops.mean(around, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "channels": self.channels,
            "folds": self.folds,
            "filters": self.filters,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "jitter": self.jitter,
            "num_radii": self.num_radii,
            "data_format": self.data_format,
        }

    def _channels_last(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        if self.data_format == "channels_first":
            return shape[0], shape[2], shape[3], shape[1]
        return shape
