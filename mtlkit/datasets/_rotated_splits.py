"""Making the rotated three-task problem from upright images that are split already."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets._channels import add_channel
from mtlkit.datasets.multitask_data import SPLITS, MultiTaskData
from mtlkit.datasets.rotation import rotated_tasks


def rotated_splits(
    splits: dict[str, tuple[NDArray[np.floating], NDArray[np.integer]]],
    rng: np.random.Generator,
    *,
    num_bins: int,
    data_format: str | None,
    name: str,
) -> MultiTaskData:
    """Rotates each split with a random stream of its own.

    So a split does not change when another one grows: test scores stay comparable
    whatever the number of training images.

    Args:
        splits: For `"train"`, `"val"` and `"test"`: upright images in `[0, 1]`, of shape
            `(samples, height, width)`, and their classes, of shape `(samples,)`.
        rng: Where the random streams come from.
        num_bins: Number of orientation bins around the circle.
        data_format: Where the channel axis goes; see `add_channel`.
        name: Name of the data set.
    """
    if num_bins < 2:
        raise ValueError(f"Expected num_bins >= 2. Received: num_bins={num_bins}")
    parts: dict[str, Any] = {}
    for split, stream in zip(SPLITS, rng.spawn(len(SPLITS)), strict=True):
        images, labels = rotated_tasks(*splits[split], stream, num_bins)
        parts |= {f"x_{split}": add_channel(images, data_format), f"y_{split}": labels}
    return MultiTaskData(**parts, name=name)
