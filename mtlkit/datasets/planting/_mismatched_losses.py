"""Losses that users take for orientation, and that do not train it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.losses.circular import circular_earth_movers_distance


@keras.saving.register_keras_serializable(package="mtlkit")
def earth_mover_alone(y_true: Any, y_pred: Any) -> Any:
    """The circular earth mover's distance without a cross-entropy: flat at chance.

    Args:
        y_true: Bins, of shape `(batch,)` or `(batch, 1)`.
        y_pred: Logits, of shape `(batch, bins)`.

    Returns:
        Distances of shape `(batch,)`.
    """
    labels = ops.one_hot(_bins(y_true), y_pred.shape[-1], dtype="float32")
    return circular_earth_movers_distance(ops.softmax(y_pred), labels)


@keras.saving.register_keras_serializable(package="mtlkit")
def softmax_twice(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy that takes probabilities for logits, and so puts them through a softmax.

    Args:
        y_true: Bins, of shape `(batch,)` or `(batch, 1)`.
        y_pred: Logits, of shape `(batch, bins)`.

    Returns:
        Losses of shape `(batch,)`.
    """
    # Keras's own cross-entropy would notice on TensorFlow, and undo the first softmax.
    labels = ops.one_hot(_bins(y_true), y_pred.shape[-1], dtype="float32")
    return -ops.sum(labels * ops.log_softmax(ops.softmax(y_pred), axis=-1), axis=-1)


def _bins(y_true: Any) -> Any:
    return ops.cast(ops.reshape(y_true, (-1,)), "int32")


#: The losses by the name that a recipe gives.
LOSSES = {"earth_mover_alone": earth_mover_alone, "softmax_twice": softmax_twice}
