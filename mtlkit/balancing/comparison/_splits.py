"""The three splits of a comparison, and what tells data apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """Inputs, and labels by task."""

    x: Any
    y: dict[str, NDArray]

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(keras.tree.flatten(self.x)[0])

    def of(self, tasks: Iterable[str]) -> tuple[Any, dict[str, NDArray]]:
        """The inputs, and the labels of some tasks alone."""
        return self.x, {task: self.y[task] for task in tasks}


@dataclass(frozen=True)
class Splits:
    """What is trained on, chosen by, and judged by."""

    train: Split
    val: Split
    test: Split

    @classmethod
    def read(cls, data: Any, tasks: Iterable[str]) -> Splits:
        """Reads what a user gives, with the labels of the tasks of the model."""
        if hasattr(data, "x_train") and hasattr(data, "x_test"):
            pairs = {s: (getattr(data, f"x_{s}"), getattr(data, f"y_{s}")) for s in _SPLITS}
        elif isinstance(data, Mapping) and set(data) >= set(_SPLITS):
            pairs = {split: data[split] for split in _SPLITS}
        else:
            got = list(data) if isinstance(data, Mapping) else type(data).__name__
            raise ValueError(
                "Expected data to be a mtlkit.datasets.MultiTaskData, or a dict with the keys "
                f'"train", "val" and "test", of (x, y) each. Received: {got}'
            )
        return cls(**{split: _split(pair, split, list(tasks)) for split, pair in pairs.items()})

    def fingerprint(self) -> str:
        """A short text that no other data have."""
        found = hashlib.sha256()
        for split in (self.train, self.val, self.test):
            for path, array in keras.tree.flatten_with_path((split.x, split.y)):
                found.update(f"{path} {array.shape} {array.dtype}".encode())
                for start in range(0, len(array), 1000):  # a file may be larger than the memory
                    found.update(np.ascontiguousarray(array[start : start + 1000]).tobytes())
        return found.hexdigest()[:16]


def _split(pair: Any, split: str, tasks: list[str]) -> Split:
    try:
        x, y = pair
    except (TypeError, ValueError):
        raise ValueError(
            f"Expected data[{split!r}] to be (x, y). Received: {type(pair).__name__}"
        ) from None
    for task in tasks:
        if not isinstance(y, Mapping) or task not in y:
            raise ValueError(
                f"Task {task!r}: expected labels in the {split} split, in a dict by task. "
                f"Received: {list(y) if isinstance(y, Mapping) else type(y).__name__}"
            )
    x = keras.tree.map_structure(np.asarray, x)
    return Split(x, {task: np.asarray(y[task]) for task in tasks})
