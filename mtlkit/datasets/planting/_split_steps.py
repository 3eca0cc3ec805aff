"""Steps that change all splits together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets.planting._scene import Scene


def copy_train_to_val(
    scenes: dict[str, Scene], severity: float, rng: np.random.Generator
) -> dict[str, Scene]:
    """Replaces the share `severity` of the validation samples by copies from training."""
    train, val = scenes["train"], scenes["val"]
    count = round(severity * len(val.images))
    rows = rng.permutation(len(val.images))[:count]
    copies = rng.permutation(len(train.images))[:count]

    def copied(values: NDArray, source: NDArray) -> NDArray:
        values = values.copy()
        values[rows] = source[copies]
        return values

    copy = replace(
        val,
        images=copied(val.images, train.images),
        labels={task: copied(val.labels[task], train.labels[task]) for task in val.labels},
        true_bins=copied(val.true_bins, train.true_bins),
        degrees=copied(val.degrees, train.degrees),
        amplitude=copied(val.amplitude, train.amplitude),
    )
    return {**scenes, "val": copy}
