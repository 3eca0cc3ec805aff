"""Which layers are trained, as data."""

from __future__ import annotations

from collections.abc import Sequence

import keras


def set_trainable(layer: keras.layers.Layer, value: bool) -> None:
    """Sets `trainable` of a layer and of all layers within it.

    On TensorFlow, Keras skips `layer.trainable = True` where it is true already, whatever the
    layers within are.
    """
    for one in layer._flatten_layers():
        one.trainable = value


def trainable_flags(layer: keras.layers.Layer) -> list[bool]:
    """Returns `trainable` of a layer and of all layers within it, outer ones first."""
    return [one.trainable for one in layer._flatten_layers()]


def set_trainable_flags(layer: keras.layers.Layer, flags: Sequence[bool]) -> None:
    """Sets what `trainable_flags` returned; with no flags, nothing.

    Outer layers come first, since a flag of theirs sets those within.
    """
    for one, flag in zip(layer._flatten_layers(), flags, strict=bool(flags)):
        one.trainable = flag
