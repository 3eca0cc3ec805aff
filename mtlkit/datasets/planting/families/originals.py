"""Real images: each in one split, turned where it is drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets.planting.scene import Pictures
from mtlkit.datasets.rotation import rotate_images


def draw_originals(
    samples: dict[str, int], available: int, rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    """Divides originals between the splits, and repeats those of a split that wants more.

    Args:
        samples: Number of samples by split.
        available: Number of originals.
        rng: The source of the split and the order.

    Returns:
        Indices of originals by split, of as many as there are samples.

    Example:
        ```python
        import numpy as np
        from mtlkit.datasets.planting.families.originals import draw_originals

        drawn = draw_originals({"train": 9, "val": 3}, 8, np.random.default_rng(0))
        assert len(drawn["train"]) == 9 and not set(drawn["train"]) & set(drawn["val"])
        ```
    """
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

    Returns:
        The objects.
    """
    return Pictures(
        np.asarray(identity, "int64"),
        lambda degrees: np.clip(rotate_images(images, degrees), 0.0, 1.0),
    )
