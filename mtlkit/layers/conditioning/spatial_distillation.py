"""Another task's feature map, let through where attention finds it of use."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers._channels import channel_axis
from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers.conditioning._shapes import check_condition


@keras.saving.register_keras_serializable(package="mtlkit")
class SpatialDistillation(keras.layers.Layer):
    """Adds to a feature map what another task's map and prediction say, place by place.

    With the map `F_B`, the other task's map `A` and prediction `p`, the output is
    `F_B + sigmoid(gate(F_A)) * message(F_A)`, where `F_A` is `A` with `p` appended to the
    channels at every position, and `gate` and `message` are convolutions.

    `message` starts at zero: until it has learnt something the layer is the identity, exactly.
    At the first step the gradient reaches `message` alone, from the second on `gate` and `F_A`
    too.

    Args:
        kernel_size: Size of both kernels.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `[(batch, height, width, channels), (batch, height, width, other_channels),
        (batch, n)]`, the maps in the data format.

    Output shape:
        `(batch, height, width, channels)`, in the data format.

    Raises:
        ValueError: If `kernel_size < 1`, or the inputs are not of such shapes.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.layers.conditioning import SpatialDistillation

        rng = np.random.default_rng(0)
        own, other = rng.normal(size=(2, 3, 8, 8, 4)).astype("float32")
        probabilities = rng.dirichlet(np.ones(10), size=3).astype("float32")
        layer = SpatialDistillation(data_format="channels_last")
        outputs = ops.convert_to_numpy(layer([own, other, probabilities]))
        assert np.array_equal(outputs, own)  # at the start
        ```

    Reference:
        [Xu et al., PAD-Net: Multi-Tasks Guided Prediction-and-Distillation Network,
        2018](https://arxiv.org/abs/1805.04409)
    """

    def __init__(self, kernel_size: int = 3, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if kernel_size < 1:
            raise ValueError(f"Expected kernel_size >= 1. Received: kernel_size={kernel_size}")
        self.kernel_size = kernel_size
        self.data_format = standardize_data_format(data_format)

    def build(self, input_shape: Any) -> None:
        own, other, condition = self._check(input_shape)
        axis = channel_axis(4, self.data_format)
        self.gate = self._conv(own[axis], "gate", "glorot_uniform")
        self.message = self._conv(own[axis], "message", "zeros")
        seen = list(other)
        seen[axis] += condition[1]
        for conv in (self.gate, self.message):
            conv.build(tuple(seen))

    def call(self, inputs: Any) -> Any:
        own, other, condition = inputs
        seen = ops.concatenate([other, self._everywhere(condition, other)], axis=self._axis)
        return own + ops.sigmoid(self.gate(seen)) * self.message(seen)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "data_format": self.data_format,
        }

    @property
    def _axis(self) -> int:
        return channel_axis(4, self.data_format)

    def _conv(self, channels: int, name: str, initializer: str) -> keras.layers.Layer:
        return keras.layers.Conv2D(
            channels,
            self.kernel_size,
            padding="same",
            kernel_initializer=initializer,
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name=name,
        )

    def _everywhere(self, condition: Any, feature_map: Any) -> Any:
        """The condition at every position of the map."""
        if self._axis == 1:
            return condition[:, :, None, None] * ops.ones_like(feature_map[:, :1])
        return condition[:, None, None, :] * ops.ones_like(feature_map[..., :1])

    def _check(self, input_shape: Any) -> list[Any]:
        shapes = [tuple(s) if isinstance(s, list | tuple) else () for s in input_shape]
        if len(shapes) != 3 or len(shapes[0]) != 4 or len(shapes[1]) != 4:
            raise ValueError(
                "Expected [map, other_map, condition], both maps with two spatial axes. "
                f"Received: input_shape={input_shape}"
            )
        own, other, condition = shapes
        positions = [axis for axis in (1, 2, 3) if axis != self._axis]
        if any(own[axis] != other[axis] for axis in positions):
            raise ValueError(
                "Expected maps of the same height and width. "
                f"Received: shapes {own} and {other} ({self.data_format})"
            )
        if own[self._axis] is None or other[self._axis] is None:
            raise ValueError(
                f"Expected known numbers of channels. Received: shapes {own} and {other}"
            )
        check_condition(condition)
        return shapes
