"""From a feature map to a feature vector."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers._sizes import size_cure
from mtlkit.layers.attention_pooling import AttentionPooling
from mtlkit.layers.spatial_softmax import SpatialSoftmax

#: The ways in which a feature map becomes a vector.
_POOLINGS = ("average", "max", "flatten", "attention", "spatial_softmax")


@keras.saving.register_keras_serializable(package="mtlkit")
class FeaturePooling(keras.layers.Layer):
    """Turns a feature map of any rank into one vector per sample.

    `"average"` and `"max"` forget where things are; `"flatten"` keeps it;
    `"attention"` reads it with learned queries (see `AttentionPooling`), and
    `"spatial_softmax"` where each channel is active (see `SpatialSoftmax`; for maps with two
    spatial axes). Vectors pass as they are.

    Of a sequence with a Keras mask, such as an `Embedding(mask_zero=True)` makes, the steps that
    it leaves out count nothing: they are neither averaged nor looked at, and flattened as zeros.
    A sequence without any step is pooled to zeros.

    Args:
        pooling: `"average"`, `"max"`, `"flatten"`, `"attention"` or `"spatial_softmax"`.
        data_format: `"channels_last"` or `"channels_first"`, for maps with two or more
            spatial axes. `None`: `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, channels)`, `(batch, steps, channels)`, `(batch, height, width, channels)`
        or `(batch, channels, height, width)`.

    Output shape:
        `(batch, features)`: `channels` for `"average"` and `"max"`, three times as many for
        `"spatial_softmax"`.

    Raises:
        ValueError: If `pooling` is not one of the above.

    Example:
        ```python
        import numpy as np
        from mtlkit.layers import FeaturePooling

        features = np.ones((2, 8, 8, 16), "float32")
        pooled = FeaturePooling("flatten", data_format="channels_last")(features)
        assert pooled.shape == (2, 1024)
        ```
    """

    def __init__(
        self, pooling: str = "average", data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        if pooling not in _POOLINGS:
            raise ValueError(f"Expected pooling to be one of {_POOLINGS}. Received: {pooling!r}")
        self.pooling = pooling
        self.data_format = standardize_data_format(data_format)
        self.attention = (
            AttentionPooling(dtype=self.dtype_policy, name="attention")
            if pooling == "attention"
            else None
        )
        self.spatial_softmax = (
            SpatialSoftmax(dtype=self.dtype_policy, name="spatial_softmax")
            if pooling == "spatial_softmax"
            else None
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.attention is not None and len(input_shape) > 2 and not self.attention.built:
            self.attention.build(self._sequence_shape(input_shape))
        if self.spatial_softmax is not None and not self.spatial_softmax.built:
            if len(input_shape) == 2:
                return
            self.spatial_softmax.build(self._channels_last(input_shape))

    def call(self, inputs: Any, mask: Any = None) -> Any:
        rank = len(inputs.shape)
        if rank == 2:
            return inputs
        if mask is not None and rank == 3:
            return self._masked(inputs, mask)
        if self.pooling in ("average", "max"):
            reduce = ops.mean if self.pooling == "average" else ops.max
            return reduce(inputs, axis=self._positions(rank))
        channels_last = ops.moveaxis(inputs, self._channels(rank), -1)
        if self.spatial_softmax is not None:
            return self.spatial_softmax(channels_last)
        _, positions, channels = self._sequence_shape(inputs.shape)
        if self.attention is not None:
            return self.attention(ops.reshape(channels_last, (-1, positions, channels)))
        return ops.reshape(channels_last, (-1, positions * channels))

    def _masked(self, inputs: Any, mask: Any) -> Any:
        """Pools the steps of a sequence that the mask, of shape `(batch, steps)`, lets through."""
        is_step = ops.cast(mask, "bool")[..., None]
        if self.attention is not None:
            return self.attention(inputs, mask=mask)
        if self.pooling == "max":
            is_any = ops.any(is_step, axis=1)
            lowest = ops.full_like(inputs, -np.inf)
            largest = ops.max(ops.where(is_step, inputs, lowest), axis=1)
            return ops.where(is_any, largest, ops.zeros_like(largest))
        kept = ops.where(is_step, inputs, ops.zeros_like(inputs))
        if self.pooling == "average":
            steps = ops.sum(ops.cast(is_step, inputs.dtype), axis=1)
            return ops.sum(kept, axis=1) / ops.maximum(steps, 1)
        _, positions, channels = self._sequence_shape(inputs.shape)
        return ops.reshape(kept, (-1, positions * channels))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None  # there are no steps any more

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        rank = len(input_shape)
        if rank == 2:
            return input_shape
        if self.pooling in ("average", "max"):
            return input_shape[0], input_shape[self._channels(rank)]
        if self.spatial_softmax is not None:
            return self.spatial_softmax.compute_output_shape(self._channels_last(input_shape))
        batch, positions, channels = self._sequence_shape(input_shape)
        if self.attention is not None:
            return self.attention.compute_output_shape((batch, positions, channels))
        return batch, positions * channels

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pooling": self.pooling,
            "data_format": self.data_format,
        }

    def _channels(self, rank: int) -> int:
        return 1 if self.data_format == "channels_first" and rank > 3 else rank - 1

    def _positions(self, rank: int) -> tuple[int, ...]:
        return tuple(axis for axis in range(1, rank) if axis != self._channels(rank))

    def _channels_last(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        if len(shape) != 4:
            raise ValueError(
                f'Expected a map with two spatial axes for pooling="{self.pooling}". '
                f"Received: input_shape={tuple(shape)}"
            )
        positions = [shape[axis] for axis in self._positions(len(shape))]
        return shape[0], *positions, shape[self._channels(len(shape))]

    def _sequence_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, int, int]:
        """The shape with all positions in one axis, channels last."""
        rank = len(shape)
        sizes = [shape[axis] for axis in self._positions(rank)]
        channels = shape[self._channels(rank)]
        if channels is None or None in sizes:
            raise ValueError(
                f'Expected a map of known size for pooling="{self.pooling}". '
                f"Received: input_shape={tuple(shape)}. {size_cure(shape)}, "
                'or use pooling="average" or "max", which take any'
            )
        return shape[0], math.prod(size or 0 for size in sizes), channels
