"""Rotated digits: a small real data set that needs no download."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets._rotated_splits import rotated_splits
from mtlkit.datasets.multitask_data import MultiTaskData

_NUM_SCANS, _NUM_TRAIN, _NUM_VAL = 1797, 1097, 200


def rotated_digits(
    copies: int = 8, num_bins: int = 32, seed: int = 0, data_format: str | None = None
) -> MultiTaskData:
    """Real handwritten digits, rotated and dimmed: three tasks, ready at once.

    scikit-learn's 1,797 scans of 8x8 pixels are enlarged to 32x32 and split before they
    are rotated, into 1,097 for training, 200 for validation and 500 for test. Each
    training scan appears `copies` times, with other angles and amplitudes. Each validation
    and test scan appears once, so that they are independent and intervals honest.

    Args:
        copies: How often each training scan appears.
        num_bins: Number of orientation bins around the circle.
        seed: Seed of the split, angles and amplitudes. Validation and test images depend
            on nothing else but `num_bins`.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.

    Returns:
        Data with float32 images in `[0, 1]`, of shape `(samples, 32, 32, 1)` or
        `(samples, 1, 32, 32)`, and the tasks `identity` (10 classes), `orientation`
        (`num_bins` classes, counter-clockwise) and `intensity` (a float in `[0.2, 1]`).

    Raises:
        ValueError: If `copies` is below 1, `num_bins` below 2, or `data_format` not known.

    Example:
        ```python
        from mtlkit.datasets import rotated_digits

        data = rotated_digits(copies=1)
        assert len(data.x_train) == 1097 and len(data.x_test) == 500
        print(data.summary())
        ```
    """
    from sklearn.datasets import load_digits

    if copies < 1:
        raise ValueError(f"Expected copies >= 1. Received: copies={copies}")
    digits = load_digits()
    images = enlarge(digits.images / 16)
    rng = np.random.default_rng(seed)
    scans = split_scans(rng)
    scans["train"] = rng.spawn(1)[0].permutation(np.tile(scans["train"], copies))
    return rotated_splits(
        {split: (images[index], digits.target[index]) for split, index in scans.items()},
        rng,
        num_bins=num_bins,
        data_format=data_format,
        name="rotated_digits",
    )


def split_scans(rng: np.random.Generator) -> dict[str, NDArray[np.integer]]:
    """Divides the scans at random, each into one split."""
    train, val, test = np.split(rng.permutation(_NUM_SCANS), [_NUM_TRAIN, _NUM_TRAIN + _NUM_VAL])
    return {"train": train, "val": val, "test": test}


def enlarge(images: NDArray[np.floating], factor: int = 4) -> NDArray[np.float32]:
    """Enlarges images with bilinear interpolation between the centres of the pixels.

    Args:
        images: Array of shape `(samples, height, width)`.
        factor: How many times larger the height and the width become.

    Returns:
        A float32 array of shape `(samples, factor * height, factor * width)`.
    """
    from scipy.ndimage import zoom

    # Beyond the outer pixel centres, the border goes on.
    large = zoom(images, (1, factor, factor), order=1, mode="nearest", grid_mode=True)
    return np.asarray(large, dtype="float32")
