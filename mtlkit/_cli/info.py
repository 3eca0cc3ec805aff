"""`mtlkit info`: what is in the data."""

from __future__ import annotations

import argparse

import numpy as np

from mtlkit._cli.given import read_data
from mtlkit.datasets import MultiTaskData
from mtlkit.metrics._labels import is_labelled
from mtlkit.metrics._text_table import text_table

#: Classes that are listed; of more, the first ones.
_LISTED = 20
#: So few different whole numbers may be meant as classes.
_FEW = 20


def run(arguments: argparse.Namespace) -> int:
    """Prints the summary, and for each task its classes and what is missing."""
    data = read_data(arguments)
    for task in data.tasks:
        print(f"{task} ({data.kind(task)}){_missing(data, task)}{_hint(data, task)}")
        if data.y_train[task].dtype.kind != "f" and data.y_train[task].ndim == 1:
            print(_classes(data, task))
        print()
    return 0


def _missing(data: MultiTaskData, task: str) -> str:
    counts = [int((~is_labelled(y[task])).sum()) for _, _, y in data.splits()]
    said = " / ".join(f"{count:,}" for count in counts)
    return f": no label in {said} of train / val / test" if any(counts) else ": all labelled"


def _hint(data: MultiTaskData, task: str) -> str:
    """What else the labels may be."""
    labels = data.y_train[task]
    different = np.unique(labels[is_labelled(labels)])
    if data.kind(task).name == "values" and labels.ndim == 1 and len(different) <= _FEW:
        return f". {len(different)} different values: --kind {task}=classes makes them classes"
    return ""


def _classes(data: MultiTaskData, task: str) -> str:
    """A table of the classes, with the number of samples of each in each split."""
    number = data.num_classes(task)
    counts = [
        np.bincount(y[task][is_labelled(y[task])].astype("int64"), minlength=number)
        for _, _, y in data.splits()
    ]
    names = data.class_names.get(task, ())
    rows = [
        [str(one), names[one] if one < len(names) else "", *(f"{c[one]:,}" for c in counts)]
        for one in range(min(number, _LISTED))
    ]
    more = f"\n... and {number - _LISTED} more classes" if number > _LISTED else ""
    return text_table(["class", "name", "train", "val", "test"], rows) + more
