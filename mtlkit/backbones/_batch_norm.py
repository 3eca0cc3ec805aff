"""The batch normalisation of backbones."""

from __future__ import annotations

from typing import Any

import keras

#: With Keras's 0.99 the moving averages lag behind for hundreds of steps: a small data set is
#: trained for some epochs before it is judged by what it has learned.
_MOMENTUM = 0.9


def batch_normalization(number: int, policy: Any, axis: int = -1) -> keras.layers.Layer:
    """The batch normalisation of a stage."""
    return keras.layers.BatchNormalization(
        axis=axis, momentum=_MOMENTUM, dtype=policy, name=f"batch_norm{number}"
    )
