"""Coordinates as additional channels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers._sizes import size_cure


@keras.saving.register_keras_serializable(package="mtlkit")
class AddCoordinates(keras.layers.Layer):
    """Appends to a map where each pixel is, so that what follows knows it (CoordConv).

    The new channels are `x` and `y`, from -1 (left, top) to 1 (right, bottom), and the
    distance from the centre, `sqrt(x^2 + y^2)`.

    Args:
        use_radius: Whether to append the distance from the centre.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`.

    Output shape:
        As the input, with three more channels (two without the radius).

    Raises:
        ValueError: If the height or width of the map is not known, or another than the layer
            was built for.

    Example:
        ```python
        import numpy as np
        from mtlkit.layers import AddCoordinates

        layer = AddCoordinates(data_format="channels_last")
        assert layer(np.zeros((1, 8, 8, 4), "float32")).shape == (1, 8, 8, 7)
        ```

    Reference:
        [Liu et al., An Intriguing Failing of Convolutional Neural Networks and the CoordConv
        Solution, 2018](https://arxiv.org/abs/1807.03247)
    """

    def __init__(
        self, use_radius: bool = True, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.use_radius = use_radius
        self.data_format = standardize_data_format(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        first = self.data_format == "channels_first"
        height, width = input_shape[2:] if first else input_shape[1:3]
        if height is None or width is None:
            raise ValueError(
                "Expected a map of known height and width. "
                f"Received: input_shape={tuple(input_shape)} ({self.data_format}). "
                f"{size_cure(input_shape)}"
            )
        x, y = pixel_coordinates(height, width)
        # The coordinates below are those of this size.
        axis = 2 if first else 1
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={axis: height, axis + 1: width})
        channels = [x, y, np.hypot(x, y)] if self.use_radius else [x, y]
        self._coordinates = np.stack(channels, axis=0 if first else -1)[None].astype("float32")

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, self.compute_dtype)  # integers have no room for coordinates
        coordinates = ops.cast(self._coordinates, x.dtype)
        shape = (ops.shape(x)[0], *self._coordinates.shape[1:])
        axis = 1 if self.data_format == "channels_first" else -1
        return ops.concatenate([x, ops.broadcast_to(coordinates, shape)], axis=axis)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        axis = 1 if self.data_format == "channels_first" else 3
        shape, channels = list(input_shape), input_shape[axis]
        if channels is not None:
            shape[axis] = channels + (3 if self.use_radius else 2)
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_radius": self.use_radius,
            "data_format": self.data_format,
        }


def pixel_coordinates(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the pixels of a map are, from -1 (left, top) to 1 (right, bottom).

    Returns:
        `x` and `y`, of shape `(height, width)`; 0 along an axis of one pixel.
    """
    y, x = np.meshgrid(_line(height), _line(width), indexing="ij")
    return x, y


def _line(size: int) -> np.ndarray:
    return np.linspace(-1, 1, size) if size > 1 else np.zeros(1)
