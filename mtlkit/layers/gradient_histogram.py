"""Histograms of gradient orientations: a fixed descriptor of edges."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers._sizes import size_cure

#: Gradients whose squared norm is at most this are none: angle and root have no slope there.
_LEAST_SQUARE = 1e-30


@keras.saving.register_keras_serializable(package="mtlkit")
class GradientHistogram(keras.layers.Layer):
    """Counts gradient orientations, weighted by gradient strength, in cells of a map.

    The gradient of each pixel (central differences, the border repeated) has a direction,
    counter-clockwise as displayed, and a norm; the norm goes to the two nearest of
    `num_bins` directions, in proportion to how near they are. Cells are a grid over the
    map, and channels are added up. There is nothing to learn. Bin `b` is the direction
    `360 b / num_bins` degrees. The sum over all bins and cells is that of the norms.

    Args:
        num_bins: Number of directions.
        cells: Number of cells along each side. Where the map's size is no multiple of it, some
            cells are a pixel larger than others.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`.

    Output shape:
        `(batch, cells, cells, num_bins)`, whatever the data format.

    Raises:
        ValueError: If `num_bins < 2` or `cells < 1`, or the height or width of the map is not
            known.

    Example:
        ```python
        import numpy as np
        from mtlkit.layers import GradientHistogram

        ramp = np.tile(np.arange(8, dtype="float32"), (1, 8, 1))[..., None]  # to the right
        layer = GradientHistogram(num_bins=4, cells=1, data_format="channels_last")
        assert np.array(layer(ramp)).argmax() == 0  # 0 degrees
        ```

    Reference:
        [Dalal and Triggs, Histograms of Oriented Gradients for Human Detection,
        2005](https://doi.org/10.1109/CVPR.2005.177)
    """

    def __init__(
        self,
        num_bins: int = 32,
        cells: int = 4,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for argument, value, least in (("num_bins", num_bins, 2), ("cells", cells, 1)):
            if value < least:
                raise ValueError(f"Expected {argument} >= {least}. Received: {argument}={value}")
        self.num_bins = num_bins
        self.cells = cells
        self.data_format = standardize_data_format(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        first = self.data_format == "channels_first"
        size = input_shape[2:] if first else input_shape[1:3]
        if len(input_shape) != 4 or None in size:
            raise ValueError(
                "Expected a map with two spatial axes, of known height and width, to divide it "
                "into cells. "
                f"Received: input_shape={tuple(input_shape)} ({self.data_format}). "
                f"{size_cure(input_shape)}"
            )

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, "float32")  # angles and sums need the digits
        if self.data_format == "channels_first":
            x = ops.transpose(x, (0, 2, 3, 1))
        right, up = _differences(x, axis=2), -_differences(x, axis=1)
        flat = ops.square(right) + ops.square(up) <= _LEAST_SQUARE
        right = ops.where(flat, ops.ones_like(right), right)
        norm = ops.where(flat, ops.zeros_like(up), ops.sqrt(ops.square(right) + ops.square(up)))
        position = ops.arctan2(up, right) * (self.num_bins / (2 * math.pi))
        bins = ops.arange(self.num_bins, dtype="float32")
        away = ops.mod(position[..., None] - bins, self.num_bins)
        away = ops.minimum(away, self.num_bins - away)
        votes = ops.sum(norm[..., None] * ops.relu(1 - away), axis=3)
        for axis in (1, 2):
            votes = _sums(votes, self.cells, axis)
        return ops.cast(votes, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[0], self.cells, self.cells, self.num_bins

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "cells": self.cells,
            "data_format": self.data_format,
        }


def _sums(x: Any, parts: int, axis: int) -> Any:
    """Sums over consecutive parts of an axis, as equal as can be."""
    size = x.shape[axis]
    if size % parts == 0:
        shape = (-1, *x.shape[1:axis], parts, size // parts, *x.shape[axis + 1 :])
        return ops.sum(ops.reshape(x, shape), axis=axis + 1)
    bounds = [math.ceil(part * size / parts) for part in range(parts + 1)]
    before = (slice(None),) * axis
    sums = [ops.sum(x[(*before, slice(*ends))], axis=axis) for ends in pairwise(bounds)]
    return ops.stack(sums, axis=axis)


def _differences(x: Any, axis: int) -> Any:
    """Central differences along an axis, the border repeated."""
    size = x.shape[axis]
    after = ops.take(x, np.minimum(np.arange(size) + 1, size - 1), axis=axis)
    before = ops.take(x, np.maximum(np.arange(size) - 1, 0), axis=axis)
    return (after - before) / 2
