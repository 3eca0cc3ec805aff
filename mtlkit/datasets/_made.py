"""Data out of what a file holds: words become classes, and labels get their kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets._label_kinds import LabelKind
from mtlkit.datasets._label_reader import LabelReader
from mtlkit.datasets.multitask_data import MultiTaskData

#: Inputs, and labels by task as a file has them.
Part = tuple[NDArray, Mapping[str, NDArray]]


def parts_of(x: NDArray, y: Mapping[str, NDArray], rows: Mapping[str, NDArray]) -> dict[str, Part]:
    """Divides inputs and labels by the rows of each split."""
    return {
        split: (x[some], {task: labels[some] for task, labels in y.items()})
        for split, some in rows.items()
    }


def chosen_tasks(tasks: Sequence[str], found: Sequence[str]) -> list[str]:
    """The tasks that are asked for, each once, which must be there."""
    if unknown := [task for task in tasks if task not in found]:
        raise ValueError(
            f"Expected tasks out of {', '.join(found)}. Received: {', '.join(unknown)}"
        )
    return list(dict.fromkeys(tasks))


def made(
    parts: Mapping[str, Part],
    name: str,
    kinds: Mapping[str, str] | None = None,
    class_names: Mapping[str, Sequence[str]] | None = None,
    kept_kinds: Mapping[str, str] | None = None,
) -> MultiTaskData:
    """Returns the data of the three splits.

    Args:
        parts: Inputs and labels of each split.
        name: What to call them.
        kinds: Kinds that the user names.
        class_names: Names of classes by task.
        kept_kinds: Kinds that labels have already.
    """
    names = dict(class_names or {})
    y_of = {split: dict(y) for split, (_, y) in parts.items()}
    for task, labels in parts["train"][1].items():
        if labels.dtype.kind in "OUS":
            of_task = [y[task] for y in y_of.values() if task in y]
            reader = LabelReader(np.concatenate(of_task), task)
            names |= {task: reader.names} if reader.names else {}
            for y in y_of.values():
                y[task] = reader.read(y[task])
    for task in _numbers_below(y_of, kinds or {}):
        for y in y_of.values():
            y[task] = y[task].astype("float64")
    arrays: dict[str, Any] = {f"x_{split}": x for split, (x, _) in parts.items()}
    arrays |= {f"y_{split}": y for split, y in y_of.items()}
    data = MultiTaskData(**arrays, name=name, kinds=kept_kinds or {}, class_names=names)
    return data.with_kinds(kinds) if kinds else data


def _numbers_below(
    y_of: Mapping[str, Mapping[str, NDArray]], kinds: Mapping[str, str]
) -> list[str]:
    """The tasks whose whole numbers are no classes, by their kind, and some of them below -1."""
    found = []
    for task, kind in kinds.items():
        labels = [y[task] for y in y_of.values() if task in y and y[task].dtype.kind == "i"]
        name = LabelKind.parsed(kind, task).name
        if name in ("values", "orientation") and any((one < -1).any() for one in labels):
            found.append(task)
    return found
