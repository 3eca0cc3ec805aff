"""Bilinear resizing to a size that may be known only when images come."""

from __future__ import annotations

from typing import Any

from keras import ops


def resize(x: Any, height: Any, width: Any) -> Any:
    """Resizes maps of shape `(batch, h, w, channels)` to `(batch, height, width, channels)`.

    As `keras.ops.image.resize` with bilinear interpolation, which on TensorFlow takes no size that
    is a tensor: pixel centres are matched, and edges repeated. It is two products with matrices, so
    its gradient is the same at each run on any device.
    """
    rows = _interpolation(ops.shape(x)[1], height, x.dtype)
    columns = _interpolation(ops.shape(x)[2], width, x.dtype)
    x = ops.einsum("oh,bhwc->bowc", rows, x)
    return ops.einsum("pw,bowc->bopc", columns, x)


def _interpolation(size: Any, new_size: Any, dtype: Any) -> Any:
    """The matrix of shape `(new_size, size)` that interpolates along one axis."""
    old, new = ops.cast(size, "float32"), ops.cast(new_size, "float32")
    centres = (ops.arange(new_size, dtype="float32") + 0.5) * (old / new) - 0.5
    centres = ops.clip(centres, 0.0, old - 1.0)
    distances = ops.abs(ops.expand_dims(centres, 1) - ops.arange(size, dtype="float32"))
    return ops.cast(ops.relu(1.0 - distances), dtype)
