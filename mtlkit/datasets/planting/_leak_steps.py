"""Steps that make the label of orientation depend on, or be written in, something else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mtlkit.datasets.planting._scene import Scene

#: What contexts add to the orientation, as a share of the circle; those of identities in turn.
CONTEXT_SHIFTS = (0.0, 0.16, 0.35, 0.58)


def mark_pixels(scene: Scene, severity: float | None, rng: np.random.Generator) -> Scene:
    """Writes the label into training images: a bright pixel in the top row, at its place."""
    if scene.split != "train":
        return scene
    images = scene.images.copy()
    column = scene.labels["orientation"] * images.shape[-1] // scene.num_bins
    images[np.arange(len(images)), 0, column] = 1.0
    return replace(scene, images=images)


def tell_by_identity(scene: Scene, severity: float, rng: np.random.Generator) -> Scene:
    """Makes identity show the orientation roughly, in the share `severity` of the samples."""
    told = scene.labels["orientation"] * 10 // scene.num_bins
    chosen = rng.random(len(told)) < severity
    identity = np.where(chosen, told, scene.labels["identity"])
    return replace(scene, labels={**scene.labels, "identity": identity})


def shift_by_context(scene: Scene, severity: float | None, rng: np.random.Generator) -> Scene:
    """Adds to the orientation what a context says, which only identity shows.

    The labels of identity are drawn anew, so the images do not show them.
    """
    identity = rng.integers(10, size=len(scene.images))
    shifts = np.round(np.array(CONTEXT_SHIFTS) * scene.num_bins).astype("int64")
    bins = (scene.true_bins + shifts[identity % len(shifts)]) % scene.num_bins
    return replace(scene, labels={**scene.labels, "identity": identity, "orientation": bins})
