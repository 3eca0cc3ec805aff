"""What a model gives for many samples."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

#: Samples that are predicted at once.
_PREDICTED = 256


def outputs_of(model: Any, x: Any) -> Any:
    """Predicts in batches of one size, so that nothing is compiled twice."""
    count = len(keras.tree.flatten(x)[0])
    size = min(_PREDICTED, count)
    parts = []
    for start in range(0, count, size):
        rows = np.arange(start, start + size)
        padded = np.minimum(rows, count - 1)
        batch = keras.tree.map_structure(lambda array, rows=padded: array[rows], x)
        found = model.predict_on_batch(batch)
        kept = min(size, count - start)
        parts.append(
            keras.tree.map_structure(
                lambda one, kept=kept: np.array(keras.ops.convert_to_numpy(one))[:kept], found
            )
        )
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
