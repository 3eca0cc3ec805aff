"""Read histograms of gradient orientations with a small dense network."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.heads.designs.design import Design, build
from mtlkit.heads.designs.pooled import PooledDesign
from mtlkit.layers.gradient_histogram import GradientHistogram
from mtlkit.layers.unit_norm import unit_norm


@keras.saving.register_keras_serializable(package="mtlkit")
class HistogramDesign(Design):
    """Reads a fixed descriptor of edges, histograms of gradient orientations.

    The histograms of all cells together are scaled to unit length, so that brightness and
    contrast do not matter. A cheap control, strong on the model's input: a design that does
    not beat it is not worth its training.

    Args:
        units: Number of outputs.
        hidden_units: Width of the hidden layer; 0 for none.
        dropout: Rate of dropout before the last layer.
        num_directions: Number of directions of the histograms.
        cells: Number of cells along each side of the map.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`.

    Output shape:
        `(batch, units)`, float32.

    Raises:
        ValueError: If an argument is out of range, or the size of the map is not known.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.designs import HistogramDesign

        assert HistogramDesign(units=3)(np.ones((2, 8, 8, 4), "float32")).shape == (2, 3)
        ```

    Reference:
        [Dalal and Triggs, Histograms of Oriented Gradients for Human Detection,
        2005](https://doi.org/10.1109/CVPR.2005.177)
    """

    def __init__(
        self,
        units: int,
        hidden_units: int = 128,
        dropout: float = 0.3,
        num_directions: int = 32,
        cells: int = 4,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.num_directions = num_directions
        self.cells = cells
        policy = self.dtype_policy
        self.histogram = GradientHistogram(
            num_directions, cells, data_format, dtype=policy, name="histogram"
        )
        self.data_format = self.histogram.data_format
        self.network = PooledDesign(
            units, "flatten", hidden_units, dropout, dtype=policy, name="network"
        )

    def build_features(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch = build(self.histogram, tuple(input_shape))[0]
        return self.network.build_features((batch, self._numbers))

    def features(self, inputs: Any) -> Any:
        x = ops.reshape(ops.cast(self.histogram(inputs), "float32"), (-1, self._numbers))
        # Of unit length a number is small; of this length it is 1 in the root mean square.
        return self.network.features(unit_norm(x) * self._numbers**0.5)

    def build_read(self, input_shape: tuple[int | None, ...]) -> None:
        self.network.build_read(input_shape)
        self.network.built = True

    def read(self, features: Any) -> Any:
        return self.network.read(features)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "num_directions": self.num_directions,
            "cells": self.cells,
            "data_format": self.data_format,
        }

    @property
    def _numbers(self) -> int:
        return self.cells**2 * self.num_directions
