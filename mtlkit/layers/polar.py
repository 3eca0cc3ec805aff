"""Resampling of feature maps from Cartesian to polar coordinates."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers._reproducible_random import random_uniform
from mtlkit.layers._sizes import size_cure


@keras.saving.register_keras_serializable(package="mtlkit")
class PolarResample(keras.layers.Layer):
    """Resamples maps to polar coordinates, so that a rotation becomes a shift.

    The map is read by bilinear interpolation at radii `r_i = (i + 1) / num_radii * r_max`
    (`r_max` reaches the nearest border) and angles `a_j = 2 pi j / num_angles`,
    counter-clockwise as displayed, from the centre of the map. Turning the map
    counter-clockwise by one angular step rolls the output by `+1` along its angle axis.
    For turns by 90 degrees that is exact (if `num_angles` is a multiple of 4); for others
    it holds up to interpolation and the corners.

    Args:
        num_angles: Number of angles around the circle.
        num_radii: Number of radii. `None`: half of the shorter side of the map.
        jitter: How much the grid varies in training, as a share of `r_max`: for each image
            the centre moves by up to this in both directions, and radii grow or shrink by
            up to this. A good augmentation, since it leaves angles nearly as they are.
        seed: Seed of the jitter. It is drawn alike on every backend, see
            `mtlkit.layers.ReproducibleDropout`.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`.

    Output shape:
        `(batch, radii, angles, channels)`, or `(batch, channels, radii, angles)`.

    Raises:
        ValueError: If a count is not positive, the jitter not in `[0, 1)`, the data format
            unknown, or the map not two-dimensional, of unknown size, or of another size than
            the layer was built for.

    Example:
        ```python
        import numpy as np
        from mtlkit.layers import PolarResample

        image = np.random.default_rng(0).random((1, 8, 8, 1), dtype="float32")
        polar = PolarResample(num_angles=16, data_format="channels_last")
        turned = polar(np.rot90(image, axes=(1, 2)))
        assert np.allclose(turned, np.roll(polar(image), 4, axis=2), atol=1e-5)
        ```

    Reference:
        [Esteves et al., Polar Transformer Networks, 2018](https://arxiv.org/abs/1709.01889)
    """

    def __init__(
        self,
        num_angles: int,
        num_radii: int | None = None,
        jitter: float = 0.0,
        seed: int = 0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for argument, value in (("num_angles", num_angles), ("num_radii", num_radii)):
            if value is not None and value < 1:
                raise ValueError(f"Expected {argument} >= 1. Received: {argument}={value}")
        if not 0 <= jitter < 1:
            raise ValueError(f"Expected a jitter in [0, 1). Received: jitter={jitter}")
        self.num_angles = num_angles
        self.num_radii = num_radii
        self.jitter = jitter
        self.seed = seed
        self.data_format = standardize_data_format(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        height, width = self._size(input_shape)
        axis = 2 if self.data_format == "channels_first" else 1
        # The corners below are those of this size: another one would be misread in silence.
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={axis: height, axis + 1: width})
        radii = self._radii(height, width)
        radius = (np.arange(radii)[:, None] + 1) / radii * self._reach(height, width)
        angle = 2 * np.pi * np.arange(self.num_angles)[None, :] / self.num_angles
        # From the centre: down and to the right.
        self._down = (-radius * np.sin(angle)).reshape(-1)
        self._right = (radius * np.cos(angle)).reshape(-1)
        y, x = (height - 1) / 2 + self._down, (width - 1) / 2 + self._right
        top = np.clip(np.floor(y), 0, max(height - 2, 0)).astype("int32")
        left = np.clip(np.floor(x), 0, max(width - 2, 0)).astype("int32")
        self._fixed = _corners(top, left, height, width), _weights(y - top, x - left)
        if self.jitter:
            self.calls = self.add_weight(
                name="calls", shape=(), initializer="zeros", dtype="int32", trainable=False
            )

    def call(self, inputs: Any, training: bool = False) -> Any:
        first = self.data_format == "channels_first"
        x = ops.cast(inputs, self.compute_dtype)  # weights of integers would be 0 or 1
        x = ops.transpose(x, (0, 2, 3, 1)) if first else x
        height, width, channels = x.shape[1:]
        if training and self.jitter:
            x = self._read_jittered(x)
        else:
            flat = ops.reshape(x, (-1, height * width, channels))
            x = sum(
                ops.take(flat, corner, axis=1) * ops.cast(weight[None, :, None], flat.dtype)
                for corner, weight in zip(*self._fixed, strict=True)
            )
        x = ops.reshape(x, (-1, self._radii(height, width), self.num_angles, channels))
        return ops.transpose(x, (0, 3, 1, 2)) if first else x

    def _read_jittered(self, x: Any) -> Any:
        batch, (height, width, channels) = ops.shape(x)[0], x.shape[1:]
        call = ops.add(self.calls, 1)  # a value of its own, not a view of the variable
        self.calls.assign(call)
        drawn = self.jitter * random_uniform((batch, 3), call, self.seed)
        reach = self._reach(height, width)
        scale = 1 + drawn[:, :1]
        down, right = (ops.cast(part, "float32") for part in (self._down, self._right))
        y = (height - 1) / 2 + reach * drawn[:, 1:2] + scale * down
        z = (width - 1) / 2 + reach * drawn[:, 2:] + scale * right
        y, z = ops.clip(y, 0.0, height - 1.0), ops.clip(z, 0.0, width - 1.0)
        top = ops.clip(ops.floor(y), 0.0, max(height - 2.0, 0.0))
        left = ops.clip(ops.floor(z), 0.0, max(width - 2.0, 0.0))
        first = ops.arange(batch, dtype="int32")[:, None] * (height * width)  # of each image
        corners = _corners(ops.cast(top, "int32"), ops.cast(left, "int32"), height, width)
        flat = ops.reshape(x, (-1, channels))
        return sum(
            ops.take(flat, first + corner, axis=0) * ops.cast(weight[..., None], flat.dtype)
            for corner, weight in zip(corners, _weights(y - top, z - left), strict=True)
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        radii = self._radii(*self._size(input_shape))
        if self.data_format == "channels_first":
            return (input_shape[0], input_shape[1], radii, self.num_angles)
        return (input_shape[0], radii, self.num_angles, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_angles": self.num_angles,
            "num_radii": self.num_radii,
            "jitter": self.jitter,
            "seed": self.seed,
            "data_format": self.data_format,
        }

    def _size(self, shape: tuple[int | None, ...]) -> tuple[int, int]:
        height, width = shape[2:] if self.data_format == "channels_first" else shape[1:3]
        if height is None or width is None:
            raise ValueError(
                "Expected a map of known height and width, to sample it along circles. "
                f"Received: input_shape={tuple(shape)} ({self.data_format}). "
                f"{size_cure(shape)}"
            )
        return height, width

    def _radii(self, height: int, width: int) -> int:
        return self.num_radii or max(1, min(height, width) // 2)

    def _reach(self, height: int, width: int) -> float:
        return (min(height, width) - 1) / 2


def _corners(top: Any, left: Any, height: int, width: int) -> list[Any]:
    """Indices, in a map with its positions in one axis, of the four pixels around a point."""
    corner = top * width + left
    below, beside = min(1, height - 1) * width, min(1, width - 1)
    return [corner, corner + beside, corner + below, corner + below + beside]


def _weights(down: Any, right: Any) -> list[Any]:
    """Bilinear weights of the four pixels."""
    return [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]
