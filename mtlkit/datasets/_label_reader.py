"""Labels as users have them: classes by name, one-hot rows, columns of a table with gaps."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit._arrays import to_numpy
from mtlkit.metrics._labels import is_one_hot

#: Whole numbers that are stored as floats are classes up to here, if none in between is missing.
_MOST_WHOLE = 100


class LabelReader:
    """Reads labels of a task, of training and of held-out samples in the same way.

    Names become classes in the order of the alphabet, one-hot rows the class that they mark, and
    whole numbers stored as floats, as pandas does beside gaps, become classes if they count from 0,
    leave no number out, and each occurs twice. Other values stay as they are.

    Args:
        given: Array, list, or column of a table, of shape `(samples, ...)`: the training labels.
        task: Name of the task, for messages.

    Attributes:
        names: The names of the classes, in the order of their numbers; `None` without names.
    """

    def __init__(self, given: Any, task: str) -> None:
        self._task = task
        labels = _column(given)
        self.names: list[str] | None = None
        if labels.dtype.kind in "OUS" and labels.ndim == 1:
            self.names = sorted({str(name) for name in labels if not _is_missing(name)})
        self._whole = labels.dtype.kind == "f" and labels.ndim == 1 and _count_from_zero(labels)

    def read(self, given: Any) -> NDArray[Any]:
        """Returns labels as integers for classes (-1: missing), or floats for values (NaN)."""
        labels = _column(given)
        if self.names is not None:
            return self._of_names(labels)
        if _marks_classes(labels):
            return labels.argmax(axis=1).astype("int64")
        if self._whole and labels.dtype.kind == "f":
            return np.where(np.isnan(labels), -1, labels).astype("int64")
        return labels

    def _of_names(self, labels: NDArray) -> NDArray[np.int64]:
        numbers_ = {name: number for number, name in enumerate(self.names or ())}
        found = np.full(len(labels), -1)
        for row, name in enumerate(labels):
            if _is_missing(name):
                continue
            if str(name) not in numbers_:
                raise ValueError(
                    f"Task {self._task!r}: expected the names of training labels among held-out "
                    f"ones, {self.names}. Received: {str(name)!r} at sample {row}"
                )
            found[row] = numbers_[str(name)]
        return found


def _column(given: Any) -> NDArray[Any]:
    labels = to_numpy(given)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "O" and labels.ndim == 1:
        known = [value for value in labels if not _is_missing(value)]
        if known and all(isinstance(value, numbers.Real) for value in known):
            whole = all(isinstance(value, numbers.Integral) for value in known)
            gap = -1 if whole else np.nan
            return np.array([gap if _is_missing(value) else value for value in labels])
    return labels


def _is_missing(name: Any) -> bool:
    """Whether an entry is no name: pandas' NA, `None`, NaN, or an empty text."""
    return type(name).__name__ == "NAType" or name is None or name == "" or name != name


def _marks_classes(labels: NDArray) -> bool:
    """Whether labels are one-hot rows of several classes."""
    one_hot = labels.ndim == 2 and is_one_hot(labels)
    return one_hot and len(np.unique(labels.argmax(axis=1))) > 1


def _count_from_zero(labels: NDArray) -> bool:
    known = labels[~np.isnan(labels)]
    if not known.size or not np.isfinite(known).all() or (known != np.round(known)).any():
        return False
    values, counts = np.unique(known, return_counts=True)
    dense = 1 < len(values) <= _MOST_WHOLE and bool((values == np.arange(len(values))).all())
    return dense and bool(counts.min() > 1)
