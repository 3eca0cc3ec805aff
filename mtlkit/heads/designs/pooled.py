"""Pool the map to a vector, then a small dense network."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.layers.data_format import standardize_data_format
from mtlkit.layers.feature_pooling import FeaturePooling
from mtlkit.layers.reproducible_dropout import ReproducibleDropout


@keras.saving.register_keras_serializable(package="mtlkit")
class PooledDesign(keras.layers.Layer):
    """Pools a feature to a vector and reads it with a small dense network.

    Args:
        units: Number of outputs.
        pooling: How the map becomes a vector, see `mtlkit.layers.FeaturePooling`.
        hidden_units: Width of the hidden layer; 0 for none.
        dropout: Rate of dropout before the last layer.
        layer_norm: Whether to normalise the vector of each sample (`LayerNormalization`)
            before it is read, so that the contrast of the image matters less.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, channels)`, or a map as in `mtlkit.layers.FeaturePooling`.

    Output shape:
        `(batch, units)`, float32.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.designs import PooledDesign

        assert PooledDesign(units=3)(np.ones((2, 8, 8, 4), "float32")).shape == (2, 3)
        ```
    """

    def __init__(
        self,
        units: int,
        pooling: str = "average",
        hidden_units: int = 128,
        dropout: float = 0.0,
        layer_norm: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for argument, value, least in (("units", units, 1), ("hidden_units", hidden_units, 0)):
            if value < least:
                raise ValueError(f"Expected {argument} >= {least}. Received: {argument}={value}")
        self.units = units
        self.pooling = pooling
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.layer_norm = layer_norm
        self.data_format = standardize_data_format(data_format)
        policy = self.dtype_policy
        self.pool = FeaturePooling(pooling, self.data_format, dtype=policy, name="pool")
        self.steps: list[keras.layers.Layer] = []
        if layer_norm:
            self.steps.append(keras.layers.LayerNormalization(dtype=policy, name="layer_norm"))
        if hidden_units:
            self.steps.append(
                keras.layers.Dense(hidden_units, activation="relu", dtype=policy, name="hidden")
            )
        if dropout:
            self.steps.append(ReproducibleDropout(dropout, dtype=policy, name="dropout"))
        self.steps.append(keras.layers.Dense(units, dtype="float32", name="outputs"))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if not self.pool.built:
            self.pool.build(input_shape)
        shape = self.pool.compute_output_shape(input_shape)
        if self.layer_norm and shape[-1] == 1:
            raise ValueError(
                "Expected at least two features for layer_norm=True, which turns a single one into "
                f"a constant. Received: features of shape {tuple(input_shape)}, pooled to one"
            )
        for step in self.steps:
            if not step.built:
                step.build(shape)
            shape = step.compute_output_shape(shape)

    def call(self, inputs: Any) -> Any:
        x = self.pool(inputs)
        for step in self.steps:
            x = step(x)
        return x

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor((inputs.shape[0], self.units), "float32")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[0], self.units

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "pooling": self.pooling,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "layer_norm": self.layer_norm,
            "data_format": self.data_format,
        }
