"""Digits: scikit-learn's scans of handwritten digits."""

from __future__ import annotations

import numpy as np

from mtlkit.datasets.planting._scene import Pictures
from mtlkit.datasets.planting.families._originals import draw_originals, turned_originals
from mtlkit.datasets.rotated_digits import enlarge


def digits(
    samples: dict[str, int], rng: np.random.Generator, size: int = 32
) -> dict[str, Pictures]:
    """Draws digits from scikit-learn's 1,797 scans.

    Each scan is in one split only; where a split wants more samples than it has scans, they
    appear several times, at other angles.

    Args:
        samples: Number of objects by split.
        rng: The source of the split and of the choice.
        size: Height and width of the images, a multiple of 8.

    Returns:
        The objects by split.

    Raises:
        ValueError: If the size is not a multiple of 8.

    Example:
        ```python
        import numpy as np
        from mtlkit.datasets.planting.families import digits

        pictures = digits({"train": 60, "val": 20, "test": 20}, np.random.default_rng(0))
        assert pictures["val"].turned(np.zeros(20)).shape == (20, 32, 32)
        ```
    """
    from sklearn.datasets import load_digits

    if size % 8:
        raise ValueError(f"Expected a size that is a multiple of 8. Received: size={size}")
    scans = load_digits()
    images = enlarge(scans.images / 16, size // 8)
    chosen = draw_originals(samples, len(images), rng)
    return {
        split: turned_originals(images[index], scans.target[index])
        for split, index in chosen.items()
    }
