"""What is shown beside the evidence: confusions, and pictures of each class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlkit._statistics import count_table
from mtlkit.diagnostics.details import ConfusionDetails, GalleryDetails
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.references.reference import Reference

#: Classes, and samples of each, that are shown.
_CLASSES, _EACH = 16, 4


def confusion(reference: Reference) -> Evidence:
    """Counts what is taken for what.

    Args:
        reference: The reference of the samples.

    Returns:
        Evidence `"confusion"`, a description; `details["matrix"]` has a row for each true class.

    Example:
        ```python
        import numpy as np

        from mtlkit.diagnostics.data_probes import confusion
        from mtlkit.references import Reference

        y = np.arange(200) % 2
        x = np.random.default_rng(0).random((200, 6), dtype="float32")
        x[:, 0] += 2 * y
        matrix = confusion(Reference(x, y)).details["matrix"]
        assert matrix.sum() == 200 and matrix[0, 0] > 90
        ```
    """
    predicted, num_classes = reference.predicted, reference.num_classes
    return confusion_of(reference.y, predicted, num_classes, of="a simple reference")


def confusion_of(
    y: NDArray[np.integer], predicted: NDArray[np.integer], num_classes: int, of: str
) -> Evidence:
    """Counts what is taken for what, for predictions of samples that were not fitted to."""
    matrix = count_table(y, predicted, num_classes)
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    text = f"No class is taken for another by {of}."
    if wrong.any():
        often = _times(int(wrong[row, column]))
        text = f"Class {row} is taken for class {column} most often by {of}, {often}."
    details = ConfusionDetails(matrix=matrix, of=of)
    return Evidence("confusion", "described", text, samples=len(y), details=details)


def gallery(reference: Reference) -> Evidence:
    """Shows samples of each class.

    Args:
        reference: The reference of the samples.

    Returns:
        Evidence `"gallery"`, a description. Of classes with few samples, places stay blank. Values
        are shown from the smallest to the largest (of several, the first one).

    Example:
        ```python
        import numpy as np

        from mtlkit.diagnostics.data_probes import gallery
        from mtlkit.references import Reference

        x = np.random.default_rng(0).random((60, 8, 8, 1), dtype="float32")
        shown = gallery(Reference(x, np.arange(60) % 3)).details
        assert shown["images"].shape == (3, 4, 8, 8, 1)
        ```
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
    images = np.zeros((len(rows), _EACH, *reference.x.shape[1:]), "float32")
    for column, row in zip(images, rows, strict=True):
        column[: len(row)] = shown(reference, row)
    return Evidence(
        "gallery",
        "described",
        "Samples of each class.",
        samples=len(reference),
        details=GalleryDetails(images=np.round(images, 3), labels=labels),
    )


def shown(reference: Reference, rows: NDArray[np.integer]) -> NDArray[np.float32]:
    """Returns some of the images, scaled to 0 to 1 by the values of all of them."""
    low, high = float(reference.x.min()), float(reference.x.max())
    return ((reference.x[rows] - low) / max(high - low, 1e-12)).astype("float32")


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
