"""Parts of backbones that users give: layers, or widths of stages."""

from __future__ import annotations

from typing import Any

import keras


def check_part(argument: str, part: Any) -> keras.layers.Layer | tuple[int, ...]:
    """Returns a layer as it is, widths as a tuple; raises a ValueError for anything else."""
    if isinstance(part, keras.layers.Layer):
        return part
    widths = (part,) if isinstance(part, int) else part
    if not isinstance(widths, list | tuple) or not widths:
        raise _no_part(argument, part)
    if not all(isinstance(width, int) and width >= 1 for width in widths):
        raise _no_part(argument, part)
    return tuple(widths)


def serialize_part(part: keras.layers.Layer | tuple[int, ...]) -> Any:
    """Returns what `get_config` says of a layer, or of widths."""
    if isinstance(part, keras.layers.Layer):
        return keras.saving.serialize_keras_object(part)
    return part


def _no_part(argument: str, part: Any) -> ValueError:
    return ValueError(
        f"Expected {argument} to be a Keras layer, or the widths (>= 1) of at least one stage. "
        f"Received: {argument}={part!r}"
    )


def deserialize(value: Any) -> Any:
    """Builds the layers and policies in what `get_config` returned."""
    if isinstance(value, dict):
        return keras.saving.deserialize_keras_object(value)
    return [deserialize(item) for item in value] if isinstance(value, list | tuple) else value
