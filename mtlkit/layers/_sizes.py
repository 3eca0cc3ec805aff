"""What to do where a map has no fixed size."""

from __future__ import annotations

from collections.abc import Sequence


def size_cure(shape: Sequence[int | None]) -> str:
    """The end of messages of layers that need to know the size of a map or sequence."""
    if len(shape) == 3:
        return "Build the model for sequences of one length, as by keras.Input((100, 8))"
    return "Build the model for images of one size, as by keras.Input((224, 224, 3))"
