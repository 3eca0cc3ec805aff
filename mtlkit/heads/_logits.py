"""Reading logits of classes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def decode_logits(logits: Any) -> dict[str, np.ndarray]:
    """Turns logits into classes.

    Args:
        logits: Logits of shape `(samples, classes)`.

    Returns:
        `"label"`, the likeliest class, int64 of shape `(samples,)`, and `"probability"` of
        all classes, float32 of shape `(samples, classes)`.
    """
    from scipy.special import softmax

    probability = softmax(keras.ops.convert_to_numpy(logits), axis=-1)
    return {"label": probability.argmax(axis=-1), "probability": probability}
