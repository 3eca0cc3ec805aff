"""Steps that change the labels of a split, and leave its images as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets.planting._scene import Scene


def flip_uniform(scene: Scene, severity: float, rng: np.random.Generator) -> Scene:
    """Replaces labels by any other, all of them equally likely, at the rate `severity`."""
    return _flip(scene, severity, rng.integers(1, scene.num_bins, size=_samples(scene)), rng)


def flip_opposite(scene: Scene, severity: float, rng: np.random.Generator) -> Scene:
    """Replaces labels by the opposite bin, at the rate `severity`."""
    return _flip(scene, severity, np.full(_samples(scene), scene.num_bins // 2), rng)


def flip_adjacent(scene: Scene, severity: float, rng: np.random.Generator) -> Scene:
    """Replaces labels by one of the two neighbours, at the rate `severity`."""
    return _flip(scene, severity, rng.choice([-1, 1], size=_samples(scene)), rng)


def permute_orientation(scene: Scene, severity: None, rng: np.random.Generator) -> Scene:
    """Deals the labels of orientation to the images at random."""
    return _relabel(scene, orientation=rng.permutation(scene.labels["orientation"]))


def permute_identity(scene: Scene, severity: None, rng: np.random.Generator) -> Scene:
    """Deals the labels of identity to the images at random."""
    return _relabel(scene, identity=rng.permutation(scene.labels["identity"]))


def shift_rows(scene: Scene, severity: None, rng: np.random.Generator) -> Scene:
    """Gives each image the labels of the image before it."""
    return _relabel(scene, **{task: np.roll(labels, 1) for task, labels in scene.labels.items()})


def _flip(scene: Scene, rate: float, steps: NDArray, rng: np.random.Generator) -> Scene:
    flipped = rng.random(_samples(scene)) < rate
    bins = (scene.labels["orientation"] + np.where(flipped, steps, 0)) % scene.num_bins
    return _relabel(scene, orientation=bins)


def _relabel(scene: Scene, **labels: NDArray) -> Scene:
    return replace(scene, labels={**scene.labels, **labels})


def _samples(scene: Scene) -> int:
    return len(scene.images)
