"""What is shown beside the evidence: confusions, and pictures of each class."""

from __future__ import annotations

import numpy as np

from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.reference import Reference

#: Classes, and samples of each, that are shown.
_CLASSES, _EACH = 16, 4


def confusion(reference: Reference) -> Evidence:
    """Counts what is taken for what.

    Args:
        reference: The reference of the samples.

    Returns:
        Evidence `"confusion"`, a description: its matrix has a row for each class.
    """
    matrix = np.zeros((reference.num_classes,) * 2, "int64")
    np.add.at(matrix, (reference.y, reference.predicted), 1)
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    text = f"Class {row} is taken for class {column} most often, {wrong[row, column]} times."
    return Evidence("confusion", "absent", text, samples=len(reference), details={"matrix": matrix})


def gallery(reference: Reference) -> Evidence:
    """Shows samples of each class.

    Args:
        reference: The reference of the samples.

    Returns:
        Evidence `"gallery"`, a description. Of classes with few samples, places stay blank. Values
        are shown from the smallest to the largest (of several, the first one).
    """
    y = reference.y
    if reference.classes:
        classes = np.unique(y)
        if len(classes) > _CLASSES:
            classes = classes[np.linspace(0, len(classes) - 1, _CLASSES).round().astype(int)]
        rows = [np.flatnonzero(y == label)[:_EACH] for label in classes]
        labels = [str(label) for label in classes]
    else:
        first = y.reshape(len(y), -1)[:, 0]
        parts = np.array_split(np.argsort(first, kind="stable"), min(8, len(y) // _EACH))
        rows = [part[:_EACH] for part in parts]
        labels = [f"{first[part[0]]:.3g}" for part in rows]
    low, high = float(reference.x.min()), float(reference.x.max())
    images = np.zeros((len(rows), _EACH, *reference.x.shape[1:]), "float32")
    for shown, row in zip(images, rows, strict=True):
        shown[: len(row)] = (reference.x[row] - low) / max(high - low, 1e-12)
    return Evidence(
        "gallery",
        "absent",
        "Samples of each class.",
        samples=len(reference),
        details={"images": np.round(images, 3), "labels": labels},
    )
