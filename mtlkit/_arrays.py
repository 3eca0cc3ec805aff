"""Arrays of whatever holds numbers: tensors, lists, and tables of pandas."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np


def as_array(values: Any) -> Any:
    """Makes arrays of lists and of tables; returns arrays and tensors as they are.

    A column of integers with gaps (`"Int64"` of pandas) becomes integers with -1 in the gaps;
    or floating-point numbers with NaN, where -1 could be meant as a number since others are
    negative.
    """
    if isinstance(values, list | tuple):
        return np.asarray(values)
    if not hasattr(values, "to_numpy"):
        return values
    kind = getattr(getattr(values, "dtype", None), "kind", "O")  # a DataFrame has several dtypes
    if kind not in "biuf" or not hasattr(values, "isna") or not values.isna().any():
        return values.to_numpy()
    if kind != "f" and not (values.dropna() < 0).any():
        return values.astype("Int64").to_numpy("int64", na_value=-1)
    return values.to_numpy("float64", na_value=np.nan)


def numbering_cure(values: np.ndarray) -> str:
    """The line that numbers names of classes, for a message; empty where there are no names."""
    given = values.reshape(-1)
    if values.dtype.kind not in "USO" or not any(isinstance(one, str) for one in given):
        return ""
    if all(isinstance(one, str) for one in given):
        return " Number the names: class_names, y = np.unique(y, return_inverse=True)"
    return " Number the names, -1 where one is missing: y, class_names = pd.factorize(y, sort=True)"


def to_numpy(values: Any) -> np.ndarray:
    """Returns a NumPy array of a list, a table, an array or a tensor."""
    values = as_array(values)
    return values if isinstance(values, np.ndarray) else keras.ops.convert_to_numpy(values)


def parts(values: Any, numbers: int) -> Iterator[tuple[int, Any]]:
    """Yields the place of a first sample, and it and the next ones: `numbers` entries at most.

    An operation on a whole array may need several times the memory of the array.
    """
    rows = max(1, numbers // max(1, math.prod(values.shape[1:])))
    for start in range(0, values.shape[0], rows):
        yield start, values[start : start + rows]
