"""Read the features of the four quarter turns with the same weights."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.heads.designs.design import Design
from mtlkit.heads.designs.pooled import PooledDesign
from mtlkit.layers.rotation_orbit import TURNS


@keras.saving.register_keras_serializable(package="mtlkit")
class OrbitDesign(Design):
    """Reads the features of an image's four quarter turns: each gives a quarter of the circle.

    Its input comes from `mtlkit.layers.RotationOrbit`. The same small network reads each
    turn, and gives the bins of one quarter of the circle relative to that turn. So turning
    the image by 90 degrees rolls the outputs by `folds * num_bins / 4` bins, exactly, with
    whatever backbone and weights.

    Args:
        num_bins: Number of bins around the circle; `folds * num_bins` is a multiple of 4.
        channels: Number of outputs a bin.
        folds: How often the bins go around the circle: 2 for objects that look the same after
            a half turn.
        pooling: How the map of each turn becomes a vector, see `mtlkit.layers.FeaturePooling`.
        hidden_units: Width of the hidden layer; 0 for none.
        dropout: Rate of dropout before the last layer.
        bottleneck: Channels of a 1x1 convolution of the map before it is pooled; 0 for none.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, 4, channels)`, a vector for each turn; or `(batch, 4, height, width, channels)`,
        a map for each, with channels in the data format. Sequences of tokens are reshaped to
        maps first: a shape of four axes would be that of a plain map, too.

    Output shape:
        `(batch, num_bins * channels)`, float32.

    Raises:
        ValueError: If the bins cannot be divided into quarters, or the input has not four
            turns of vectors or maps.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.heads.designs import OrbitDesign

        turns = np.random.default_rng(0).random((1, 4, 8, 8, 2), dtype="float32")
        design = OrbitDesign(num_bins=32, data_format="channels_last")
        outputs = ops.convert_to_numpy(design(turns))
        rolled = ops.convert_to_numpy(design(np.roll(turns, 1, axis=1)))
        assert np.allclose(rolled, np.roll(outputs, 8, axis=1), atol=1e-5)
        ```

    Reference:
        [Dieleman et al., Exploiting Cyclic Symmetry in Convolutional Neural Networks,
        2016](https://arxiv.org/abs/1602.02660)
    """

    def __init__(
        self,
        num_bins: int,
        channels: int = 1,
        folds: int = 1,
        pooling: str = "flatten",
        hidden_units: int = 128,
        dropout: float = 0.3,
        bottleneck: int = 0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_bins * channels, **kwargs)
        if folds < 1 or (num_bins * folds) % TURNS:
            raise ValueError(
                "Expected bins around the circle that can be divided into quarters. "
                f"Received: num_bins={num_bins}, folds={folds}"
            )
        self.num_bins = num_bins
        self.channels = channels
        self.folds = folds
        self.pooling = pooling
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.bottleneck = bottleneck
        self.each = PooledDesign(
            num_bins * folds // TURNS * channels,
            pooling,
            hidden_units,
            dropout,
            bottleneck=bottleneck,
            data_format=data_format,
            dtype=self.dtype_policy,
            name="each",
        )
        self.data_format = self.each.data_format

    def build_features(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        # Not of four axes: that is what a plain map has, whose height may well be 4.
        if len(input_shape) not in (3, 5) or input_shape[1] != TURNS:
            raise ValueError(
                f"Expected the features of {TURNS} turns, as RotationOrbit gives them: vectors of "
                f"shape (batch, {TURNS}, channels), or maps of shape (batch, {TURNS}, height, "
                f"width, channels). Received: input_shape={tuple(input_shape)}"
            )
        shape = self.each.build_features((input_shape[0], *input_shape[2:]))
        return input_shape[0], TURNS, *shape[1:]

    def features(self, inputs: Any) -> Any:
        each = self.each.features(ops.reshape(inputs, (-1, *inputs.shape[2:])))
        return ops.reshape(each, (-1, TURNS, each.shape[-1]))

    def build_read(self, input_shape: tuple[int | None, ...]) -> None:
        self.each.build_read((input_shape[0], input_shape[-1]))
        self.each.built = True

    def read(self, features: Any) -> Any:
        around = ops.reshape(self.each.read(features), (-1, self.folds, self.units))
        return ops.mean(around, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "channels": self.channels,
            "folds": self.folds,
            "pooling": self.pooling,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "bottleneck": self.bottleneck,
            "data_format": self.data_format,
        }
