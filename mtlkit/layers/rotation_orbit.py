"""A layer applied to the four quarter turns of its input."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers._data_format import standardize_data_format

#: Number of quarter turns of a circle.
TURNS = 4


@keras.saving.register_keras_serializable(package="mtlkit")
class RotationOrbit(keras.layers.Layer):
    """Applies a layer, with the same weights, to an image turned by 0, 90, 180 and 270 degrees.

    Entry `k` of the result is `layer(image turned clockwise by k quarter turns)`. So turning
    the image counter-clockwise by a quarter turn rolls the entries by one: exactly, for any
    layer with any weights (in inference; batch normalisation sees all turns in training).
    It costs four times the layer.

    Args:
        layer: A layer or model from images to a feature, or to a dict of features.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, side, side, channels)`, or `(batch, channels, side, side)`.

    Output shape:
        That of the layer, with an axis of four entries after the batch.

    Raises:
        ValueError: If the images are not square.

    Example:
        ```python
        import keras
        import numpy as np
        from mtlkit.layers import RotationOrbit

        image = np.random.default_rng(0).random((1, 8, 8, 1), dtype="float32")
        orbit = RotationOrbit(keras.layers.Flatten(), data_format="channels_last")
        turned = np.array(orbit(np.rot90(image, axes=(1, 2)).copy()))
        assert np.allclose(turned, np.roll(np.array(orbit(image)), 1, axis=1))
        ```

    Reference:
        [Dieleman et al., Exploiting Cyclic Symmetry in Convolutional Neural Networks,
        2016](https://arxiv.org/abs/1602.02660)
    """

    def __init__(
        self, layer: keras.layers.Layer, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # what the layer reads is the layer's affair
        self.layer = layer
        self.data_format = standardize_data_format(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        first = self.data_format == "channels_first"
        height, width = input_shape[2:] if first else input_shape[1:3]
        if height is None or height != width:
            raise ValueError(
                "Expected square images, which turn into themselves. "
                f"Received: input_shape={tuple(input_shape)} ({self.data_format}). Crop or pad "
                "them to squares of one size, or take another design of head, such as "
                'spatial="flatten"'
            )
        if not self.layer.built:
            self.layer.build(tuple(input_shape))

    def call(self, inputs: Any) -> Any:
        rows, columns = (2, 3) if self.data_format == "channels_first" else (1, 2)
        turns = [inputs]
        for _ in range(TURNS - 1):  # clockwise
            turns.append(ops.flip(ops.swapaxes(turns[-1], rows, columns), axis=columns))
        outputs = self.layer(ops.concatenate(turns, axis=0))
        return keras.tree.map_structure(_entries_after_batch, outputs)

    def compute_output_spec(self, inputs: Any) -> Any:
        spec = self.layer.compute_output_spec(inputs)
        return keras.tree.map_structure(
            lambda x: keras.KerasTensor((x.shape[0], TURNS, *x.shape[1:]), x.dtype), spec
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        spec = self.compute_output_spec(keras.KerasTensor(input_shape, self.compute_dtype))
        return keras.tree.map_structure(lambda x: tuple(x.shape), spec)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layer": keras.saving.serialize_keras_object(self.layer),
            "data_format": self.data_format,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> RotationOrbit:
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": layer})


def _entries_after_batch(x: Any) -> Any:
    entries = ops.reshape(x, (TURNS, -1, *x.shape[1:]))
    return ops.moveaxis(entries, 0, 1)
