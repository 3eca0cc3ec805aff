"""The data of a search: arrays for training and validation, and never a test split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mtlkit._files import write_array


@dataclass(frozen=True)
class SearchData:
    """Images and labels by task, to train on and to judge by.

    Attributes:
        x: Training images, an array or a dict of arrays.
        y: Training labels by task.
        x_val: Validation images.
        y_val: Validation labels by task.
    """

    x: Any
    y: dict[str, np.ndarray]
    x_val: Any
    y_val: dict[str, np.ndarray]

    @classmethod
    def of(cls, data: Any, target: str) -> SearchData:
        """Reads what a user gives.

        Args:
            data: A `mtlkit.datasets.MultiTaskData`, or `((x, y), (x_val, y_val))`.
            target: The task that is searched, which must have labels in both.
        """
        if hasattr(data, "x_train") and hasattr(data, "x_val"):
            parts = (data.x_train, data.y_train), (data.x_val, data.y_val)
        else:
            parts = data
        try:
            (x, y), (x_val, y_val) = parts
        except (TypeError, ValueError):
            raise ValueError(
                "Expected data to be a mtlkit.datasets.MultiTaskData, or arrays as "
                f"((x, y), (x_val, y_val)). Received: {type(data).__name__}"
            ) from None
        for what, labels in (("training", y), ("validation", y_val)):
            if not isinstance(labels, Mapping) or target not in labels:
                raise ValueError(
                    f"Task {target!r}: expected {what} labels, in a dict by task. "
                    f"Received: {list(labels) if isinstance(labels, Mapping) else type(labels)}"
                )
        arrays = keras.tree.map_structure(np.asarray, (x, dict(y), x_val, dict(y_val)))
        return cls(*arrays)

    @property
    def samples(self) -> int:
        """Number of training samples."""
        return len(keras.tree.flatten(self.x)[0])

    @property
    def val_samples(self) -> int:
        """Number of validation samples."""
        return len(keras.tree.flatten(self.x_val)[0])

    def for_tasks(self, tasks: Mapping[str, Any]) -> SearchData:
        """Returns the data with the labels of some tasks alone."""
        y, y_val = ({n: v for n, v in y.items() if n in tasks} for y in (self.y, self.y_val))
        return replace(self, y=y, y_val=y_val)

    def with_images(self, x: Any, x_val: Any) -> SearchData:
        """Returns the same labels with other inputs, such as features of the images."""
        return replace(self, x=x, x_val=x_val)

    def fingerprint(self) -> str:
        """A short text that other data do not have."""
        found = hashlib.sha256()
        for array in keras.tree.flatten((self.x, self.y, self.x_val, self.y_val)):
            found.update(f"{array.shape} {array.dtype}".encode())
            found.update(np.ascontiguousarray(array[:: max(1, len(array) // 200)]).tobytes())
        return found.hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Writes the arrays into a folder, from which other processes `load` them."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in _named(self).items():
            write_array(folder / f"{name}.npy", array)

    @classmethod
    def load(cls, folder: Path) -> SearchData:
        """Reads what `save` wrote; images stay on disk until they are used."""
        parts: dict[str, Any] = {"x": {}, "y": {}, "x_val": {}, "y_val": {}}
        for path in sorted(folder.glob("*.npy")):
            part, _, key = path.stem.partition("@")
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if key:
                parts[part][key] = array
            else:
                parts[part] = array
        return cls(**parts)


def _named(data: SearchData) -> dict[str, Any]:
    """The arrays by the name of their file."""
    named: dict[str, Any] = {}
    for part in ("x", "y", "x_val", "y_val"):
        value = getattr(data, part)
        if isinstance(value, Mapping):
            named.update({f"{part}@{key}": array for key, array in value.items()})
        else:
            named[part] = value
    return named
