"""Labels by task, in any structure that `fit` takes, read as users have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtlkit.datasets._label_reader import LabelReader


def readers_of(y: Any, task: str) -> dict[str, LabelReader]:
    """Returns a reader for each task; labels that are no dict are those of `task`."""
    by_task = of_samples_and(task, y if isinstance(y, Mapping) else {task: y})
    return {str(name): LabelReader(labels, str(name)) for name, labels in by_task.items()}


def of_samples_and(task: str, y: Mapping[str, Any]) -> dict[str, Any]:
    """The labels of a task, and those of others that belong to samples, not to pixels."""
    return {name: labels for name, labels in y.items() if name == task or np.ndim(labels) < 3}


def labels_by_output(y: Any, names: Sequence[str]) -> dict[str, Any]:
    """Labels by output, as they are, in any structure that `fit` takes.

    Args:
        y: A dict by output, a list in the order of the outputs, or the labels of the only one.
        names: Names of the outputs.
    """
    if isinstance(y, Mapping):
        return {str(name): labels for name, labels in y.items()}
    if isinstance(y, list | tuple) and len(y) == len(names) and np.ndim(y[0]):
        return dict(zip(names, y, strict=True))
    if len(names) == 1:
        return {names[0]: y}
    raise ValueError(
        f"Expected labels by output, as a dict of {list(names)} or a list in this order. "
        f"Received: {type(y).__name__}"
    )


def read_all(y: Any, task: str, readers: Mapping[str, LabelReader]) -> dict[str, Any]:
    """Returns the labels of all tasks, read as the training labels were."""
    by_task = of_samples_and(task, y if isinstance(y, Mapping) else {task: y})
    return {
        str(name): readers[str(name)].read(labels) if str(name) in readers else labels
        for name, labels in by_task.items()
    }
