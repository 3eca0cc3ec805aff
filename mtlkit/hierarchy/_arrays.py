"""Arrays that belong to a tree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def padded(rows: Sequence[Sequence[int]], fill: int) -> np.ndarray:
    """Returns rows of different lengths as a matrix of int32."""
    matrix = np.full((len(rows), max(map(len, rows))), fill, "int32")
    for row, values in zip(matrix, rows, strict=True):
        row[: len(values)] = values
    return frozen(matrix)


def frozen(array: np.ndarray) -> np.ndarray:
    """Returns the array itself, which can be written to no more."""
    array.setflags(write=False)
    return array
