"""The channel axis of grey images."""

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
    if data_format is None:
        import keras

        data_format = keras.config.image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            "Expected data_format to be 'channels_last', 'channels_first' or None. "
            f"Received: data_format={data_format!r}"
        )
    return np.expand_dims(images, -1 if data_format == "channels_last" else 1)
