"""Made objects on a turntable: bodies of coloured balls, photographed from all around."""

from __future__ import annotations

import numpy as np


def turntable(
    objects: int = 100, views: int = 72, size: int = 32, seed: int = 0, elevation: float = 15.0
) -> np.ndarray:
    """Draws objects that turn about an upright axis, which the image shows from the side.

    A pose means something beside its object alone: each begins wherever it was put.

    Args:
        objects: Number of objects.
        views: Number of views of each, evenly around.
        size: Height and width of the images.
        seed: Seed of the objects and of the noise.
        elevation: Degrees by which the camera looks down.

    Returns:
        Images of shape `(objects, views, size, size, 3)`, bytes.
    """
    rng = np.random.default_rng(seed)
    fine = 2 * size
    grid = (np.arange(fine) + 0.5) / fine * 2 - 1
    across, up = (1.1 * part for part in np.meshgrid(grid, -grid))
    images = np.zeros((objects, views, size, size, 3), "uint8")
    sine, cosine = np.sin(np.deg2rad(elevation)), np.cos(np.deg2rad(elevation))
    for number in range(objects):
        balls = rng.integers(4, 10)
        colors = rng.uniform(0.2, 0.9, 3) + rng.normal(0, 0.25, (balls, 3))
        colors = np.clip(colors, 0.05, 1)
        away, around = rng.uniform(0, 0.55, balls), rng.uniform(0, 2 * np.pi, balls)
        height, radius = rng.uniform(-0.5, 0.5, balls), rng.uniform(0.12, 0.42, balls)
        away[0], radius[0] = 0, 0.5
        for view in range(views):
            angles = around + 2 * np.pi * view / views
            x, deep = away * np.cos(angles), away * np.sin(angles)
            y, near = height * cosine + deep * sine, deep * cosine - height * sine
            image, front = np.zeros((fine, fine, 3)), np.full((fine, fine), -9.0)
            for ball in range(balls):
                right, above = across - x[ball], up - y[ball]
                left = radius[ball] ** 2 - right**2 - above**2
                bulge = np.sqrt(np.maximum(left, 0))
                seen = (left > 0) & (near[ball] + bulge > front)
                light = (0.4 * right + 0.5 * above + 0.77 * bulge) / radius[ball]
                shade = 0.35 + 0.65 * np.clip(light, 0, 1)
                image[seen] = (shade[..., None] * colors[ball])[seen]
                front[seen] = (near[ball] + bulge)[seen]
            image = image.reshape(size, 2, size, 2, 3).mean((1, 3))
            noisy = 255 * image + rng.normal(0, 3, image.shape)
            images[number, view] = np.clip(noisy, 0, 255).round()
    return images
