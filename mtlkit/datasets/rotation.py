"""Rotating images, and the three-task problem made from rotated images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Images rotated at once: small enough that the temporaries stay in cache.
_CHUNK = 256


def rotate_images(
    images: NDArray[np.floating], degrees: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Rotates every image by its own angle, with bilinear interpolation.

    Positive angles turn the picture counter-clockwise as displayed (row 0 on top),
    as `numpy.rot90` and `scipy.ndimage.rotate(..., order=1, reshape=False)` do. What
    comes from outside the image is zero.

    Args:
        images: Array of shape `(samples, height, width)`.
        degrees: Array of shape `(samples,)`, the angles in degrees.

    Returns:
        A float32 array of the shape of `images`.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        ```python
        import numpy as np
        from mtlkit.datasets import rotate_images

        image = np.eye(4, dtype="float32")[None]
        turned = rotate_images(image, np.array([90.0]))
        assert np.allclose(turned[0], np.rot90(image[0]), atol=1e-6)
        ```
    """
    images = np.asarray(images, dtype="float32")
    degrees = np.asarray(degrees, dtype="float64")
    if images.ndim != 3 or degrees.shape != images.shape[:1]:
        raise ValueError(
            "Expected images of shape (samples, height, width) and one angle for each. "
            f"Received: images.shape={images.shape}, degrees.shape={degrees.shape}"
        )
    rotated = np.empty_like(images)
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        rotated[part] = _rotate_chunk(images[part], np.radians(degrees[part]))
    return rotated


def _rotate_chunk(images: NDArray[np.float32], radians: NDArray[np.float64]) -> NDArray[np.float32]:
    samples, height, width = images.shape
    cos = np.cos(radians).astype("float32")[:, None, None]
    sin = np.sin(radians).astype("float32")[:, None, None]
    y = (np.arange(height, dtype="float32") - (height - 1) / 2)[None, :, None]
    x = (np.arange(width, dtype="float32") - (width - 1) / 2)[None, None, :]
    # Where each pixel comes from; rows grow downwards, so the y axis is flipped.
    source_y = sin * x + cos * y + (height - 1) / 2
    source_x = cos * x - sin * y + (width - 1) / 2

    # A border of zeros (one before, two behind) makes every neighbour a valid index.
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2))).reshape(-1)
    source_y = np.clip(source_y, -1, height) + 1
    source_x = np.clip(source_x, -1, width) + 1
    top = source_y.astype("int32")
    left = source_x.astype("int32")
    down = source_y - top
    right = source_x - left
    stride = width + 3
    offsets = (np.arange(samples, dtype="int32") * (height + 3) * stride)[:, None, None]
    index = offsets + top * stride + left
    upper = padded[index] * (1 - right) + padded[index + 1] * right
    lower = padded[index + stride] * (1 - right) + padded[index + stride + 1] * right
    return upper * (1 - down) + lower * down


def rotated_tasks(
    images: NDArray[np.floating],
    identity: NDArray[np.integer],
    rng: np.random.Generator,
    num_bins: int = 32,
) -> tuple[NDArray[np.float32], dict[str, NDArray]]:
    """Makes the three-task problem: what is it, how is it turned, how bright is it.

    Each image gets a bin `b` in `0 ... num_bins - 1`, is rotated by `(b + u)` bin widths
    with `u` uniform in `[-0.5, 0.5]`, clipped to `[0, 1]` and multiplied by an
    amplitude uniform in `[0.2, 1]`.

    Args:
        images: Upright images in `[0, 1]`, of shape `(samples, height, width)`.
        identity: Integer class of each image, of shape `(samples,)`.
        rng: The source of bins, angles and amplitudes.
        num_bins: Number of orientation bins around the circle.

    Returns:
        The images, of shape `(samples, height, width)`, and the labels `identity`
        (int64), `orientation` (int64 bins) and `intensity` (float32 amplitudes).
    """
    samples = len(images)
    bins = rng.integers(num_bins, size=samples)
    within = rng.uniform(-0.5, 0.5, size=samples)
    amplitude = rng.uniform(0.2, 1.0, size=samples).astype("float32")
    rotated = rotate_images(images, (bins + within) * (360.0 / num_bins))
    rotated = np.clip(rotated, 0.0, 1.0) * amplitude[:, None, None]
    labels = {
        "identity": np.asarray(identity, dtype="int64"),
        "orientation": bins.astype("int64"),
        "intensity": amplitude,
    }
    return rotated, labels
