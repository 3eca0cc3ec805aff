"""A cue to the orientation that only a high resolution shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets.planting._blocks import block_mean, enlarge_blocks
from mtlkit.datasets.planting._scene import Scene

#: How many times finer the high resolution is.
FINER = 4
#: Waves of the cue for each pixel of the low resolution; those above 1/2 are lost in it.
_WAVES_PER_PIXEL = 0.75
_CUE_CONTRAST = 0.15
_CHUNK = 64


def hide_orientation(scene: Scene, severity: float | None, rng: np.random.Generator) -> Scene:
    """Shows another object in the place of each: its identity is right, its orientation not.

    The contrast is lowered, so that there is room for a cue.
    """
    other = rng.permutation(len(scene.images))
    labels = {**scene.labels, "identity": scene.labels["identity"][other]}
    return replace(scene, images=0.2 + 0.6 * scene.images[other], labels=labels)


def add_fine_cue(scene: Scene, severity: float | None, rng: np.random.Generator) -> Scene:
    """Adds images of a high resolution, in which fine waves show the orientation.

    The waves are on the side of the image that the object points to. Over each pixel of the
    low resolution they sum to zero, so its images stay as they are.
    """
    high = enlarge_blocks(scene.images, FINER)
    for first in range(0, len(high), _CHUNK):
        part = slice(first, first + _CHUNK)
        high[part] += _CUE_CONTRAST * _waves(scene.degrees[part], high.shape[-1])
    return replace(scene, high=high, images=block_mean(high, FINER))


def _waves(degrees: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    radians = np.radians(degrees).astype("float32")[:, None, None]
    middle = ((np.arange(side, dtype="float32") + 0.5) / side) * 2 - 1
    x, y = middle[None, None, :], -middle[None, :, None]  # rows grow downwards
    ahead = np.cos(radians) * x + np.sin(radians) * y
    aside = np.cos(radians) * y - np.sin(radians) * x
    patch = np.exp(-((ahead - 0.5) ** 2 + aside**2) / 0.1)
    waves = patch * np.sin(np.pi * _WAVES_PER_PIXEL * (side / FINER) * ahead)
    return waves - enlarge_blocks(block_mean(waves, FINER), FINER)
