"""Where a map has its channels."""

from __future__ import annotations

import keras


def standardize_data_format(data_format: str | None) -> str:
    """Returns the data format, `keras.config.image_data_format()` for `None`."""
    if data_format is None:
        return keras.config.image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            'Expected data_format to be "channels_last" or "channels_first". '
            f"Received: data_format={data_format!r}"
        )
    return data_format
