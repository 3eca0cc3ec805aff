"""Which samples are labelled, and class labels beside their predictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._arrays import as_array


def is_labelled(y: ArrayLike, in_part: bool = False) -> NDArray[np.bool_]:
    """Says for each sample whether it has a label.

    A sample is unlabelled where an integer label is -1 or a float label is NaN; a label
    of several numbers counts only if all of them are there.

    Args:
        y: Labels of shape `(samples, ...)`.
        in_part: Whether a label of several numbers counts if one of them is there.

    Returns:
        A boolean array of shape `(samples,)`.
    """
    y = np.asarray(as_array(y))
    present = ~np.isnan(y) if y.dtype.kind == "f" else y != -1
    axes = tuple(range(1, y.ndim))
    return np.asarray(present.any(axis=axes) if in_part else present.all(axis=axes))


def is_one_hot(y: NDArray) -> bool:
    """Whether rows are 0 but for a single 1, along the last of two axes or more."""
    if y.ndim < 2 or y.dtype.kind not in "biuf" or not len(y):
        return False
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=-1) == 1).all())


def labelled_pairs(
    y_true: ArrayLike, y_pred: ArrayLike, task: str = "task"
) -> tuple[NDArray, NDArray]:
    """Keeps the labelled samples of a task and their predictions.

    Args:
        y_true: True labels, of shape `(samples, ...)`.
        y_pred: Predictions of the same shape.
        task: The name of the task, for error messages.
    """
    y_true, y_pred = (np.asarray(as_array(values)) for values in (y_true, y_pred))
    if y_true.ndim == 0 or y_true.shape != y_pred.shape:
        raise ValueError(
            f"Expected y_true and y_pred of the same shape (samples, ...) for task '{task}'. "
            f"Received: y_true.shape={y_true.shape}, y_pred.shape={y_pred.shape}"
        )
    if y_true.size == 0:
        raise ValueError(
            f"Expected at least one sample for task '{task}'. Received: shape={y_true.shape}"
        )
    keep = is_labelled(y_true)
    if not keep.any():
        raise ValueError(
            f"Expected at least one labelled sample for task '{task}'. "
            f"Received: {len(y_true)} samples, all unlabelled (-1 or NaN)"
        )
    return y_true[keep], y_pred[keep]


def class_pairs(
    y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None = None, task: str = "task"
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Keeps the labelled samples of a classification task, and checks the classes.

    Args:
        y_true: True classes `0 ... num_classes - 1`; -1 or NaN for unlabelled.
        y_pred: Predicted classes, of the same shape (`argmax` of probabilities).
        num_classes: Number of classes. `None`: one more than the largest class seen.
        task: The name of the task, for error messages.
    """
    true, predicted = (part.ravel() for part in labelled_pairs(y_true, y_pred, task))
    for name, classes in (("y_true", true), ("y_pred", predicted)):
        # A column of a table becomes floats by its gaps; predictions have none.
        by_gaps = name == "y_true" and classes.dtype.kind == "f" and not np.mod(classes, 1).any()
        if classes.dtype.kind not in "iub" and not by_gaps:
            raise ValueError(
                f"Expected {name} of task '{task}' to be integer classes (the argmax of "
                f"probabilities). Received: dtype={classes.dtype}"
            )
    true, predicted = true.astype("int64"), predicted.astype("int64")
    if num_classes is None:
        num_classes = int(max(true.max(), predicted.max())) + 1
    for name, classes in (("y_true", true), ("y_pred", predicted)):
        wrong = classes[(classes < 0) | (classes >= num_classes)]
        if wrong.size:
            raise ValueError(
                f"Expected {name} of task '{task}' to be classes in 0 ... {num_classes - 1}. "
                f"Received: {np.unique(wrong)[:5].tolist()}"
            )
    return true, predicted, num_classes
