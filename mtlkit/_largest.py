"""Where the largest number stands, in operations that every export format has."""

from __future__ import annotations

from typing import Any

from keras import ops


def largest(x: Any) -> Any:
    """The index of the largest number along the last axis, the first of several, int32.

    As `keras.ops.argmax`, which on TensorFlow looks at bits of floating-point numbers, and ONNX has
    no operation for that.

    Args:
        x: A tensor of shape `(..., n)`.

    Returns:
        A tensor of shape `(...)`.
    """
    is_largest = ops.equal(x, ops.max(x, axis=-1, keepdims=True))
    return ops.cast(ops.argmax(ops.cast(is_largest, "int32"), axis=-1), "int32")
