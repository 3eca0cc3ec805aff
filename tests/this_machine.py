"""What the machine can do that runs the tests."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest


@functools.cache
def convolves_bfloat16_channels_first() -> bool:
    """Whether the backend convolves maps in bfloat16 whose channels come first."""
    layer = keras.layers.Conv2D(1, 1, data_format="channels_first", dtype="mixed_bfloat16")
    try:
        layer(np.zeros((1, 1, 2, 2), "float32"))
    except Exception as error:
        if "NHWC" in str(error):
            return False
        raise
    return True


def skip_where_bfloat16_channels_first_is_missing() -> None:
    """Skips a test of mixed precision: on older CPUs TensorFlow lacks that convolution."""
    if not convolves_bfloat16_channels_first():
        pytest.skip("TensorFlow on this CPU has no bfloat16 convolution of channels_first maps")
