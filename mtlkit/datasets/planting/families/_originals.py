"""Real images: each in one split, turned where it is drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets.planting._scene import Pictures
from mtlkit.datasets.rotation import rotate_images


def draw_originals(
    samples: dict[str, int], available: int, rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    """Divides originals between the splits, and repeats those of a split that wants more."""
    order = rng.permutation(available)
    ends = np.cumsum(list(samples.values())) * available // sum(samples.values())
    parts = np.split(order, ends[:-1])
    return {
        split: rng.permutation(np.resize(part, number))
        for (split, number), part in zip(samples.items(), parts, strict=True)
    }


def turned_originals(images: NDArray, identity: NDArray) -> Pictures:
    """Objects that are turned by interpolation.

    Args:
        images: Upright images in `[0, 1]`, of shape `(samples, size, size)`.
        identity: Their classes, of shape `(samples,)`.
    """
    return Pictures(
        np.asarray(identity, "int64"),
        lambda degrees: np.clip(rotate_images(images, degrees), 0.0, 1.0),
    )
