"""Pool the map to a vector, then a small dense network."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.heads.designs.design import Design, build
from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers.coordinates import AddCoordinates
from mtlkit.layers.feature_pooling import FeaturePooling
from mtlkit.layers.reproducible_dropout import ReproducibleDropout


@keras.saving.register_keras_serializable(package="mtlkit")
class PooledDesign(Design):
    """Pools a feature to a vector and reads it with a small dense network.

    Args:
        units: Number of outputs.
        pooling: How the map becomes a vector, see `mtlkit.layers.FeaturePooling`.
        hidden_units: Width of the hidden layer; 0 for none.
        dropout: Rate of dropout before the last layer.
        layer_norm: Whether to normalise the vector of each sample (`LayerNormalization`)
            before it is read, so that the contrast of the image matters less.
        bottleneck: Channels of a 1x1 convolution (with ReLU) of the map before it is pooled; 0
            for none.
        use_coordinates: Whether the map is given the coordinates of its pixels first
            (`mtlkit.layers.AddCoordinates`).
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, channels)`, or a map as in `mtlkit.layers.FeaturePooling`.

    Output shape:
        `(batch, units)`, float32.

    Raises:
        ValueError: If an argument is out of range, a vector is given a bottleneck or
            coordinates, or a single number is to be normalised.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.designs import PooledDesign

        assert PooledDesign(units=3)(np.ones((2, 8, 8, 4), "float32")).shape == (2, 3)
        ```
    """

    reads_mask = True

    def __init__(
        self,
        units: int,
        pooling: str = "average",
        hidden_units: int = 128,
        dropout: float = 0.0,
        layer_norm: bool = False,
        bottleneck: int = 0,
        use_coordinates: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        for argument, value in (("hidden_units", hidden_units), ("bottleneck", bottleneck)):
            if value < 0:
                raise ValueError(f"Expected {argument} >= 0. Received: {argument}={value}")
        self.pooling = pooling
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.layer_norm = layer_norm
        self.bottleneck = bottleneck
        self.use_coordinates = use_coordinates
        self.data_format = standardize_data_format(data_format)
        policy = self.dtype_policy
        self.pool = FeaturePooling(pooling, self.data_format, dtype=policy, name="pool")
        self.steps_before: list[keras.layers.Layer] = []
        if use_coordinates:
            self.steps_before.append(
                AddCoordinates(data_format=self.data_format, dtype=policy, name="coordinates")
            )
        if bottleneck:
            self.steps_before.append(
                keras.layers.Conv2D(
                    bottleneck,
                    1,
                    activation="relu",
                    data_format=self.data_format,
                    dtype=policy,
                    name="bottleneck",
                )
            )
        self.steps: list[keras.layers.Layer] = []
        if layer_norm:
            self.steps.append(keras.layers.LayerNormalization(dtype=policy, name="layer_norm"))
        if hidden_units:
            self.steps.append(
                keras.layers.Dense(hidden_units, activation="relu", dtype=policy, name="hidden")
            )
        if dropout:
            self.steps.append(ReproducibleDropout(dropout, dtype=policy, name="dropout"))
        self.outputs = keras.layers.Dense(units, dtype="float32", name="outputs")

    def build_features(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        shape = tuple(input_shape)
        if self.steps_before and len(shape) != 4:
            raise ValueError(
                "Expected a map with two spatial axes, for a bottleneck or for coordinates. "
                f"Received: input_shape={shape}"
            )
        for step in self.steps_before:
            shape = build(step, shape)
        shape = build(self.pool, shape)
        if self.layer_norm and shape[-1] == 1:
            raise ValueError(
                "Expected at least two features for layer_norm=True, which turns a single one into "
                f"a constant. Received: features of shape {tuple(input_shape)}, pooled to one"
            )
        for step in self.steps:
            shape = build(step, shape)
        return shape

    def features(self, inputs: Any, mask: Any = None) -> Any:
        x = inputs
        for step in self.steps_before:
            x = step(x)
        x = self.pool(x, mask=mask)
        for step in self.steps:
            x = step(x)
        return x

    def build_read(self, input_shape: tuple[int | None, ...]) -> None:
        build(self.outputs, input_shape)

    def read(self, features: Any) -> Any:
        return self.outputs(features)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "pooling": self.pooling,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "layer_norm": self.layer_norm,
            "bottleneck": self.bottleneck,
            "use_coordinates": self.use_coordinates,
            "data_format": self.data_format,
        }
