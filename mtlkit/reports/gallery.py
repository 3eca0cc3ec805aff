"""What the classes look like: some images of each, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.reports._figures import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: More classes than these are not drawn.
_MAX_CLASSES = 48
#: More images of a class are not drawn.
_MAX_IMAGES = 4
#: Classes in a row.
_IN_ROW = 12
#: Larger images are drawn with fewer pixels.
_MAX_SIDE = 48
#: Pixels between two classes, and between two rows.
_GAP = 3


def plot_gallery(
    images: ArrayLike,
    labels: Sequence[Any] | None = None,
    order: Sequence[int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws some images of each class, one column a class.

    Args:
        images: Array of shape `(classes, images, height, width, channels)`, from 0 to 1. Not
            more than 4 images of a class are drawn, and not more than 48 classes.
        labels: Names of the classes. `None`: their numbers.
        order: The classes in the order in which they are drawn, so that those that look alike
            are neighbours. `None`: as they come.
        ax: Where to draw. `None`: on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        ValueError: If the images have another shape.

    Example:
        ```python
        import numpy as np

        from mtlkit.reports.gallery import plot_gallery

        images = np.random.default_rng(0).random((10, 3, 8, 8, 1))
        assert len(plot_gallery(images, order=[0, 5]).texts) == 2
        ```
    """
    from matplotlib.figure import Figure

    images = np.asarray(images, "float64")
    if images.ndim != 5 or not images.size:
        raise ValueError(
            "Expected images of shape (classes, images, height, width, channels). "
            f"Received: shape={images.shape}"
        )
    names = [str(n) for n in (range(len(images)) if labels is None else labels)]
    shown = list(range(len(images)) if order is None else order)[:_MAX_CLASSES]
    picked = _colours(_smaller(images[shown, :_MAX_IMAGES]))
    height, width = picked.shape[1] * picked.shape[2], picked.shape[3]
    label = max(8, round(0.35 * width))  # room for the name above a column
    rows = -(-len(shown) // _IN_ROW)
    canvas = np.ones((rows * (height + label + _GAP), _IN_ROW * (width + _GAP), 3))
    columns = min(len(shown), _IN_ROW)
    canvas = canvas[:, : columns * (width + _GAP) - _GAP]
    if ax is None:
        size = (0.75 * columns + 0.2, 0.75 * columns * canvas.shape[0] / canvas.shape[1] + 0.1)
        ax = Figure(figsize=size, layout="constrained").subplots()
    for place, (number, column) in enumerate(zip(shown, picked, strict=True)):
        top = place // _IN_ROW * (height + label + _GAP) + label
        left = place % _IN_ROW * (width + _GAP)
        canvas[top : top + height, left : left + width] = column.reshape(height, width, 3)
        middle = left + width / 2 - 0.5
        name = plain(_short(names[number]))
        ax.text(middle, top - 1, name, ha="center", va="bottom", fontsize="small")
    ax.imshow(canvas, interpolation="nearest")
    ax.set_axis_off()
    return ax


def _smaller(images: NDArray) -> NDArray:
    step = -(-max(images.shape[2:4]) // _MAX_SIDE)
    return images[:, :, ::step, ::step]


def _colours(images: NDArray) -> NDArray:
    """Images with three channels; what are no colours is averaged."""
    if images.shape[-1] != 3:
        images = np.repeat(images.mean(axis=-1, keepdims=True), 3, axis=-1)
    return np.clip(np.nan_to_num(images), 0, 1)


def _short(name: str, most: int = 9) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
