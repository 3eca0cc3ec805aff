"""Confusion matrices as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import count_table
from mtlkit.metrics._labels import class_pairs
from mtlkit.reports._figures import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: More numbers than these would run into each other along the axis.
_MAX_TICKS = 16
#: Longer names of classes are cut.
_MAX_NAME = 12


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


def plot_confusion_blocks(
    counts: ArrayLike, axes: Sequence[Axes] | None = None, names: Sequence[str] | None = None
) -> list[Axes]:
    """Draws a confusion matrix twice: as it is, and with confused classes as neighbours.

    Args:
        counts: How often each true class (row) was predicted as each class (column).
        axes: Two axes to draw on. `None`: on a new figure.
        names: Names of the classes. `None`: their numbers.

    Returns:
        The axes that were drawn on.

    Raises:
        ValueError: If the matrix is not square.

    Example:
        ```python
        import numpy as np

        from mtlkit.reports.confusion import plot_confusion_blocks

        counts = 10 * np.eye(6) + 8 * np.roll(np.eye(6), 3, axis=1)  # twins, three apart
        left, right = plot_confusion_blocks(counts)
        assert right.get_title() == "confused classes side by side"
        ```
    """
    from matplotlib.figure import Figure

    order = block_order(counts)
    shares = _shares_of_rows(np.asarray(counts, "float64"))
    if axes is None:
        axes = list(Figure(figsize=(9.2, 4.0), layout="constrained").subplots(1, 2))
    most = max(float(np.nanmax(shares, initial=0.0)), 1e-9)
    titles = ("as numbered", "confused classes side by side")
    natural = np.arange(len(shares))
    for ax, rows, title in zip(axes, (natural, order), titles, strict=True):
        part = shares[np.ix_(rows, rows)]
        image = ax.imshow(part, vmin=0, vmax=most, cmap="viridis", interpolation="nearest")
        ticks = range(0, len(rows), -(-len(rows) // _MAX_TICKS))
        shown = [_named(rows[tick], names) for tick in ticks]
        ax.set_xticks(ticks, shown, rotation=0 if names is None else 90)
        ax.set_yticks(ticks, shown)
        ax.set_xlabel("predicted class")
        ax.set_ylabel("given label")
        ax.set_title(title, fontsize="medium")
    axes[-1].figure.colorbar(image, ax=list(axes), label="share of the given label")
    return list(axes)


def _named(number: int, names: Sequence[str] | None) -> str:
    """A class by its name, cut where it is long, or by its number."""
    if names is None or number >= len(names):
        return str(number)
    text = plain(str(names[number]))
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}…"


def block_order(counts: ArrayLike) -> NDArray[np.int64]:
    """Orders classes so that those that are confused are neighbours.

    Classes are joined by how often they are taken for each other (average linkage); the order
    is that of the leaves.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    counts = np.asarray(counts, "float64")
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ValueError(f"Expected a square matrix. Received: shape={counts.shape}")
    if len(counts) < 3:
        return np.arange(len(counts))
    shares = np.nan_to_num(_shares_of_rows(counts))
    distance = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return leaves_list(tree).astype("int64")


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
    """
    true, predicted, num_classes = class_pairs(y_true, y_pred, num_classes)
    return _shares_of_rows(count_table(true, predicted, num_classes))


def _shares_of_rows(counts: NDArray) -> NDArray[np.float64]:
    """Each row divided by its sum; NaN where that is zero."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.where(totals > 0, counts / np.where(totals > 0, totals, 1), np.nan)
