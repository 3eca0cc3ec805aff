"""Reducing and enlarging images by blocks of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def block_mean(images: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Reduces images by averaging blocks of `factor` x `factor` pixels.

    Args:
        images: Of shape `(samples, factor * size, factor * size)`.
        factor: Side of a block.

    Returns:
        Images of shape `(samples, size, size)`.
    """
    samples, side, _ = images.shape
    size = side // factor
    rows = images.reshape(samples, size, factor, side).mean(axis=2)
    return rows.reshape(samples, size, size, factor).mean(axis=3)


def enlarge_blocks(images: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Enlarges images by repeating each pixel, so that `block_mean` gives them back.

    Args:
        images: Of shape `(samples, size, size)`.
        factor: Side of a block.

    Returns:
        Images of shape `(samples, factor * size, factor * size)`.
    """
    return images.repeat(factor, axis=1).repeat(factor, axis=2)
