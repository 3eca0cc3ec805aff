"""Vectors of unit length."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

#: Squared lengths below this are taken as it, so that vectors of zeros have finite gradients.
_LEAST_SQUARE = 1e-12


def unit_norm(x: Any) -> Any:
    """Divides vectors by their Euclidean length, or by 1e-6 where they are shorter than that.

    So zeros stay zeros, with a finite gradient (on JAX, that of Keras's own is NaN).

    Args:
        x: Vectors of shape `(..., dim)`.

    Returns:
        A tensor of the same shape.
    """
    squared = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(squared, _LEAST_SQUARE)))


@keras.saving.register_keras_serializable(package="mtlkit")
class UnitNorm(keras.layers.Layer):
    """Scales each vector to unit length, as the last layer of an embedding.

    Vectors shorter than 1e-6 are divided by that, so that zeros have finite gradients. The
    arguments of the constructor are those of `keras.layers.Layer`. In mixed precision give it
    `dtype="float32"`.

    Input shape:
        `(..., dim)`.

    Output shape:
        That of the input.

    Example:
        ```python
        import numpy as np
        from mtlkit.layers.unit_norm import UnitNorm

        assert np.allclose(np.asarray(UnitNorm()(np.array([[3.0, 4.0]]))), [[0.6, 0.8]])
        ```
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        pass

    def call(self, inputs: Any) -> Any:
        return unit_norm(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
