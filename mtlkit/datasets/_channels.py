"""The channel axis of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def add_channel(images: NDArray, data_format: str | None = None) -> NDArray:
    """Gives grey images a channel axis where Keras expects it.

    Args:
        images: Array of shape `(samples, height, width)`.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.

    Returns:
        A view of shape `(samples, height, width, 1)` or `(samples, 1, height, width)`.
    """
    return np.expand_dims(images, 1 if _is_first(data_format) else -1)


def move_channels(images: NDArray, data_format: str | None = None) -> NDArray:
    """Puts the last axis of images, the channels, where Keras expects it.

    Args:
        images: Array of shape `(samples, height, width, channels)`.
        data_format: As for `add_channel`.
    """
    return np.moveaxis(images, -1, 1) if _is_first(data_format) else images


def _is_first(data_format: str | None) -> bool:
    """Whether channels come first."""
    if data_format is None:
        import keras

        data_format = keras.config.image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            "Expected data_format to be 'channels_last', 'channels_first' or None. "
            f"Received: data_format={data_format!r}"
        )
    return data_format == "channels_first"
