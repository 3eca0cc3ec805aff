"""Confusion matrices as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.metrics.labels import class_pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: More numbers than these would run into each other along the axis.
_MAX_TICKS = 16


def plot_confusion(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    num_classes: int | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draws how the samples of each true class were predicted.

    Each row is one true class and sums to 1; a class without samples stays white. The
    colours span 0 to 1 in every plot, so that plots can be compared. Nothing is shown on
    a screen: save the picture with `ax.figure.savefig(...)`.

    Args:
        y_true: True classes `0 ... num_classes - 1`, of shape `(samples,)`; -1: unlabelled.
        y_pred: Predicted classes of the same shape.
        num_classes: Number of classes. `None`: one more than the largest class seen.
        ax: Where to draw. `None`: on a new figure.
        title: Title of the plot. `None`: no title.

    Returns:
        The axes that were drawn on.

    Raises:
        ValueError: If there is no labelled sample, the shapes differ, or what was given
            are not classes.

    Example:
        ```python
        from mtlkit.reports.confusion import plot_confusion

        ax = plot_confusion([0, 1, 2, 2], [0, 1, 2, 1], title="identity")
        assert ax.get_ylabel() == "true"
        ```
    """
    from matplotlib.figure import Figure

    shares = confusion_shares(y_true, y_pred, num_classes)
    if ax is None:
        ax = Figure(figsize=(5.5, 4.5), layout="constrained").subplots()
    image = ax.imshow(shares, vmin=0, vmax=1, cmap="viridis", interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label="share of the true class")
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ticks = range(0, len(shares), -(-len(shares) // _MAX_TICKS))
    ax.set_xticks(ticks)
    ax.set_yticks(ticks)
    if title is not None:
        ax.set_title(title)
    return ax


def confusion_shares(
    y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None = None
) -> NDArray[np.float64]:
    """Counts the predictions of each true class, as shares of that class.

    Args:
        y_true: True classes `0 ... num_classes - 1`, of shape `(samples,)`; -1: unlabelled.
        y_pred: Predicted classes of the same shape.
        num_classes: Number of classes. `None`: one more than the largest class seen.

    Returns:
        An array of shape `(num_classes, num_classes)`: row = true class, column = predicted
        class. The row of a class without samples is NaN.

    Raises:
        ValueError: As `plot_confusion` does.

    Example:
        ```python
        from mtlkit.reports.confusion import confusion_shares

        assert confusion_shares([0, 1, 1], [0, 0, 1]).tolist() == [[1, 0], [0.5, 0.5]]
        ```
    """
    true, predicted, num_classes = class_pairs(y_true, y_pred, num_classes)
    counts = np.bincount(true * num_classes + predicted, minlength=num_classes**2)
    counts = counts.reshape(num_classes, num_classes)
    totals = counts.sum(axis=1, keepdims=True)
    return np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)
