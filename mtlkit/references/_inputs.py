"""Inputs of any kind as references take them: one array, channels last."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit.references._encodings import word_counts
from mtlkit.references._kinds import WHOLE_PIXELS, input_kind
from mtlkit.references._reduced import at_most


def channels_last(inputs: NDArray) -> NDArray:
    """Images with channels first, as their shape shows, with channels last; all else as it is."""
    if inputs.ndim == 4 and inputs.shape[1] <= 4 < inputs.shape[3]:
        return np.moveaxis(inputs, 1, -1)
    return inputs


def one_array(inputs: Any) -> NDArray[Any]:
    """Inputs as one array: several become the columns of a table, large ones reduced."""
    arrays = [np.asarray(array) for array in keras.tree.flatten(inputs)]
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([_as_columns(array) for array in arrays], axis=1)


def _as_columns(array: NDArray) -> NDArray[np.float32]:
    if array.ndim == 1:
        return array[:, None].astype("float32")
    kind = input_kind(array)
    if kind == "tokens":
        return word_counts(array)
    if kind == "images":
        array = at_most(array, WHOLE_PIXELS)
    return array.reshape(len(array), -1).astype("float32")
