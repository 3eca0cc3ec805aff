"""Steps that change the images of a split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mtlkit.datasets.planting._scene import Scene

#: The identities that `symmetrize_half` makes symmetric.
SYMMETRIC_HALF = (0, 2, 4, 6, 8)


def symmetrize(scene: Scene, severity: float | None, rng: np.random.Generator) -> Scene:
    """Makes images look the same after a half turn."""
    return replace(scene, images=np.maximum(scene.images, scene.images[:, ::-1, ::-1]))


def symmetrize_half(scene: Scene, severity: float | None, rng: np.random.Generator) -> Scene:
    """Makes the images of half of the identities look the same after a half turn."""
    chosen = np.isin(scene.labels["identity"], SYMMETRIC_HALF)[:, None, None]
    return replace(
        scene, images=np.where(chosen, symmetrize(scene, None, rng).images, scene.images)
    )


def dim(scene: Scene, severity: float, rng: np.random.Generator) -> Scene:
    """Multiplies all pixels by `severity`."""
    return replace(scene, images=scene.images * np.float32(severity))
