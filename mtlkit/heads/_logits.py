"""Reading logits of classes."""

from __future__ import annotations

from typing import Any

from keras import ops

from mtlkit._largest import largest


def decode_logits(logits: Any) -> dict[str, Any]:
    """Turns logits into classes.

    Args:
        logits: Logits, a tensor of shape `(..., classes)`.

    Returns:
        `"label"`, the likeliest class, int32 of shape `(...)`, and `"probability"` of all
        classes, float32 of shape `(..., classes)`.
    """
    logits = ops.cast(logits, "float32")
    return {
        "label": largest(logits),
        "probability": ops.softmax(logits, axis=-1),
    }
