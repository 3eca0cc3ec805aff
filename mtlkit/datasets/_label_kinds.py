"""What labels are: classes, values, an orientation, grades or several labels; told or inferred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.metrics._labels import is_labelled, is_one_hot


@dataclass(frozen=True)
class LabelKind:
    """A kind of labels, and how many there are of what it counts; `None`: as the labels have it."""

    name: str
    size: int | None = None

    @classmethod
    def parsed(cls, text: str, task: str) -> LabelKind:
        """Reads a kind such as `"orientation:36"`."""
        name, colon, size = text.partition(":")
        if name not in KINDS or (colon and not (size.isdecimal() and int(size) > 0)):
            raise ValueError(
                f"Task {task!r}: expected a kind out of {', '.join(KINDS)}, with a number where "
                f"one is needed, such as orientation:36. Received: {text!r}"
            )
        return cls(name, int(size) if colon else None)

    @classmethod
    def of(cls, labels: NDArray) -> LabelKind:
        """The kind that the type of labels tells: whole numbers are classes, others values."""
        if labels.dtype.kind == "f":
            return cls("values")
        several = labels.ndim == 2 and labels.shape[1] > 1
        return cls("labels" if several else "classes")

    def __str__(self) -> str:
        return self.name if self.size is None else f"{self.name}:{self.size}"


#: Labels with the names of their classes, which may be missing.
Named = tuple[NDArray, list[str] | None]


def as_kind(labels: NDArray, names: list[str] | None, kind: LabelKind, task: str) -> Named:
    """Puts labels of all splits together into the form that a kind has.

    Args:
        labels: Integers (-1: unlabelled) or floats (NaN), of shape `(samples, ...)`.
        names: Names of the classes, of labels that were text.
        kind: The kind to convert them to.
        task: Name of the task, for messages.
    """
    return KINDS[kind.name](labels, names, kind, task)


def _as_classes(labels: NDArray, names: list[str] | None, kind: LabelKind, task: str) -> Named:
    """Whole numbers as they are; of floats, each different one is a class."""
    if is_one_hot(labels):
        labels = labels.argmax(axis=1)
    labels = _one_a_sample(labels, kind, task)
    if labels.dtype.kind == "f":
        known = is_labelled(labels)
        different, numbers = np.unique(labels[known], return_inverse=True)
        labels = np.full(len(labels), -1)
        labels[known] = numbers
        names = [f"{value:g}" for value in different]
    _check_size(labels, kind, task)
    return labels, names


def _as_grades(labels: NDArray, names: list[str] | None, kind: LabelKind, task: str) -> Named:
    if names is not None and kind.name == "ordinal":
        raise ValueError(
            f"Task {task!r}: expected numbers, whose order is that of the grades. Received: the "
            f"words {', '.join(names[:5])}. Number them from 0 on"
        )
    return _as_classes(labels, names, kind, task)


def _as_values(labels: NDArray, names: list[str] | None, kind: LabelKind, task: str) -> Named:
    if names is not None:
        raise ValueError(
            f"Task {task!r}: expected numbers for {kind}. Received: the words "
            f"{', '.join(names[:5])}"
        )
    return _as_floats(labels), None


def _as_orientation(labels: NDArray, names: list[str] | None, kind: LabelKind, task: str) -> Named:
    """Bins, if whole numbers below their number are given; else degrees."""
    labels = _one_a_sample(labels, kind, task)
    if labels.dtype.kind != "f" and (kind.size is None or labels.max() < kind.size):
        return labels, names
    if kind.size is None:
        raise ValueError(
            f"Task {task!r}: expected a number of bins for labels in degrees, such as "
            "orientation:36. Received: orientation"
        )
    return _as_values(labels, names, kind, task)


def _as_labels(labels: NDArray, names: list[str] | None, kind: LabelKind, task: str) -> Named:
    there = labels[is_labelled(labels)]
    if labels.ndim != 2 or not np.isin(there, (0, 1)).all():
        raise ValueError(
            f"Task {task!r}: expected a row of 0 or 1 for each sample, for {kind}. "
            f"Received: labels of shape {labels.shape}, up to {labels.max()}"
        )
    return labels, None


#: The kinds by name, each with what puts labels into its form.
KINDS: dict[str, Callable[[NDArray, list[str] | None, LabelKind, str], Named]] = {
    "classes": _as_classes,
    "values": _as_values,
    "orientation": _as_orientation,
    "ordinal": _as_grades,
    "labels": _as_labels,
}


def _one_a_sample(labels: NDArray, kind: LabelKind, task: str) -> NDArray:
    if labels.size != len(labels):
        raise ValueError(
            f"Task {task!r}: expected one label a sample, for {kind}. "
            f"Received: labels of shape {labels.shape}"
        )
    return labels.reshape(-1)


def _as_floats(labels: NDArray) -> NDArray:
    """Floats, NaN where an integer is -1, unless others are negative, too: then it is a number."""
    if labels.dtype.kind == "f":
        return labels
    values = labels.astype("float64")
    if labels.dtype.kind == "i" and labels.size and labels.min() == -1:
        values[labels == -1] = np.nan
    return values


def _check_size(labels: NDArray, kind: LabelKind, task: str) -> None:
    if kind.size is not None and labels.size and labels.max() >= kind.size:
        raise ValueError(
            f"Task {task!r}: expected classes below {kind.size}, for {kind}. "
            f"Received: {labels.max()}"
        )
