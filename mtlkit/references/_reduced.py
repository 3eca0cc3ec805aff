"""Images at another size: averaged over larger pixels, and spread out again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Values of images that are reduced at once, so that large ones are not held in memory twice.
_VALUES = 50_000_000


def at_most(images: NDArray, pixels: int) -> NDArray[np.float32]:
    """Returns images whose longer side has at most so many pixels; small ones keep their size.

    Args:
        images: Images of shape `(samples, height, width, channels)`, of any numbers.
        pixels: The most pixels of a side.
    """
    samples, height, width, channels = images.shape
    longer = max(height, width)
    if longer <= pixels:
        return images.astype("float32")
    rows, columns = (averaging(side, round(side * pixels / longer)) for side in (height, width))
    step = max(1, _VALUES // (height * width * channels))
    parts = (images[start : start + step] for start in range(0, samples, step))
    return np.concatenate([resized(part.astype("float32"), rows, columns) for part in parts])


def averaging(side: int, pixels: int) -> NDArray[np.float32]:
    """The share that each old pixel has in each new one, of shape `(pixels, side)`."""
    pixels = max(1, min(pixels, side))
    edges = np.linspace(0, side, pixels + 1)
    low = np.maximum(edges[:-1, None], np.arange(side))
    high = np.minimum(edges[1:, None], np.arange(1, side + 1))
    overlap = np.maximum(high - low, 0)
    return (overlap / overlap.sum(axis=1, keepdims=True)).astype("float32")


def spreading(averaging: NDArray) -> NDArray:
    """What takes averaged pixels back to the size that they came from."""
    return averaging.T / averaging.sum(axis=0)[:, None]


def resized(images: NDArray, rows: NDArray, columns: NDArray) -> NDArray[np.float32]:
    """Applies one matrix to the rows of pixels, and another one to the columns."""
    return np.einsum("rh,nhwc,sw->nrsc", rows, images, columns, optimize=True)
