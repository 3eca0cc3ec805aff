"""Two views of a task: the image in polar coordinates, and every position of the last map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlkit.heads.designs.design import Design
from mtlkit.heads.designs.polar import PolarDesign
from mtlkit.heads.designs.pooled import PooledDesign


@keras.saving.register_keras_serializable(package="mtlkit")
class PolarAndFlattenDesign(Design):
    """Adds up the outputs of a `PolarDesign` and of a `PooledDesign` that keeps positions.

    What turns in the plane of the image, the first one reads; what turns out of it, such as an
    object on a turntable, only the second one. Which of the two counts is learned.

    Args:
        num_bins: Number of bins around the circle.
        channels: As in `PolarDesign`, as are `folds`, `filters`, `jitter` and `num_radii`.
        folds: See there.
        filters: See there.
        hidden_units: Width of the hidden layers of both.
        dropout: Rate of dropout of the polar one.
        jitter: See there.
        num_radii: See there.
        bottleneck: Channels of a 1x1 convolution before the map is flattened; 0 for none.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        A list of two: the image, a map, for the first; a map, or `(batch, channels)`, for the
        second. Or one map for both.

    Output shape:
        `(batch, num_bins * channels)`, float32.

    Raises:
        ValueError: As `PolarDesign` and `PooledDesign`.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.designs import PolarAndFlattenDesign

        image, last = np.ones((2, 16, 16, 3), "float32"), np.ones((2, 4, 4, 8), "float32")
        design = PolarAndFlattenDesign(num_bins=8, data_format="channels_last")
        assert design([image, last]).shape == (2, 8)
        ```
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
        bottleneck: int = 0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_bins * channels, **kwargs)
        policy = self.dtype_policy
        self.polar = PolarDesign(
            num_bins,
            channels,
            folds,
            filters,
            hidden_units,
            dropout,
            jitter,
            num_radii,
            data_format=data_format,
            dtype=policy,
            name="polar",
        )
        self.flat = PooledDesign(
            self.units,
            "flatten",
            hidden_units,
            bottleneck=bottleneck,
            data_format=data_format,
            dtype=policy,
            name="flat",
        )
        self.data_format = self.polar.data_format

    def build_features(self, input_shape: Any) -> tuple[int | None, ...]:
        around, positions = _both(input_shape, isinstance(input_shape[0], Sequence))
        self.polar.build_read(self.polar.build_features(tuple(around)))
        batch, width = self.flat.build_features(tuple(positions))
        return batch, self.units + (width or 0)

    def features(self, inputs: Any) -> Any:
        around, positions = _both(inputs, isinstance(inputs, Sequence))
        said = self.polar.read(self.polar.features(around))
        kept = self.flat.features(positions)
        return ops.concatenate([ops.cast(said, kept.dtype), kept], axis=-1)

    def build_read(self, input_shape: tuple[int | None, ...]) -> None:
        *batch, width = input_shape
        self.flat.build_read((*batch, (width or 0) - self.units))

    def read(self, features: Any) -> Any:
        said, kept = features[..., : self.units], features[..., self.units :]
        return ops.cast(said, "float32") + self.flat.read(kept)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        first = input_shape
        while isinstance(first[0], Sequence):
            first = first[0]
        return first[0], self.units

    def get_config(self) -> dict[str, Any]:
        own = self.polar.get_config()
        names = ("num_bins", "channels", "folds", "filters", "hidden_units", "dropout", "jitter")
        return {
            **super().get_config(),
            **{name: own[name] for name in (*names, "num_radii", "data_format")},
            "bottleneck": self.flat.bottleneck,
        }


def _both(given: Any, are_two: bool) -> tuple[Any, Any]:
    """What each of the two reads: its own map, or the same one."""
    if not are_two:
        return given, given
    if len(given) != 2:
        raise ValueError(f"Expected one map, or a list of two. Received: {len(given)}")
    return given[0], given[1]
