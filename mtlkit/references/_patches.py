"""Features of images that need no labels: learned patches and brightness, pooled over a grid."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

#: Images encoded at once, and the values of their patches: fewer large images than small ones,
#: so that the activations stay small.
_CHUNK, _VALUES = 250, 20_000_000
#: Products of matrices take so many rows at a time, or a divisor of it; cut elsewhere, they would
#: round otherwise.
_ROWS = 48
#: Patches overlap less on images of twice this side, so that these cost as much.
_STRIDE = 32
#: Patches that the dictionary is learned from.
_SAMPLE = 20_000


def patch_features(
    images: NDArray[np.floating],
    num_patches: int = 96,
    patch: int = 6,
    grid: int = 4,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Describes images by how much they look like each of some typical patches, and how bright.

    A dictionary of patches is learned by k-means from patches of the images, brought to
    mean 0 and variance 1 and whitened. A patch activates each entry by how much nearer it
    is than the average entry (the "triangle" activation). Activations are averaged over the
    cells of a grid. Brightness and contrast, which patches are freed from, are described by the
    mean and the deviation of each channel in each cell. No label is used, so the features may be
    computed on all samples before they are split.

    Args:
        images: Images of shape `(samples, height, width, channels)`.
        num_patches: Size of the dictionary.
        patch: Side of a patch, in pixels; cut to the size of the images.
        grid: Cells along each side.
        seed: Seed of the dictionary.

    Returns:
        Standardised features of shape `(samples, grid * grid * (num_patches + 2 * channels))`.
    Reference:
        [Coates, Ng and Lee, An Analysis of Single-Layer Networks in Unsupervised Feature
        Learning, 2011](https://proceedings.mlr.press/v15/coates11a.html)
    """
    from sklearn.cluster import MiniBatchKMeans

    rng = np.random.default_rng(seed)
    images = np.asarray(images, "float32")
    patch = min(patch, *images.shape[1:3])
    stride = max(1, min(images.shape[1:3]) // _STRIDE)
    sample = _normalised(_some_patches(images, patch, rng))
    mean, whiten = _whitening(sample)
    num_patches = min(num_patches, len(sample))
    kmeans = MiniBatchKMeans(num_patches, random_state=seed, n_init=1, batch_size=2048, max_iter=30)
    centres = kmeans.fit((sample - mean) @ whiten).cluster_centers_.astype("float32")
    encoded = np.concatenate(
        [
            _encode(_all_patches(images[part], patch, stride), mean, whiten, centres, grid)
            for part in _parts(images.shape, patch, num_patches, stride)
        ]
    )
    encoded = np.concatenate([encoded, _levels(images, grid)], axis=1)
    spread = encoded.std(axis=0)
    return (encoded - encoded.mean(axis=0)) / np.where(spread > 1e-6, spread, 1.0)


def _parts(shape: tuple[int, ...], patch: int, num_patches: int, stride: int) -> Iterator[slice]:
    """Which images are encoded at once."""
    samples, height, width, channels = shape
    positions = -(-(height - patch + 1) // stride) * -(-(width - patch + 1) // stride)
    fitting = max(1, _VALUES // (positions * max(patch * patch * channels, num_patches)))
    step = _ROWS // math.gcd(positions, _ROWS)
    if step <= fitting < _CHUNK:
        fitting -= fitting % step
    for start in range(0, samples, _CHUNK):
        stop = min(start + _CHUNK, samples)
        for first in range(start, stop, min(fitting, _CHUNK)):
            yield slice(first, min(first + fitting, stop))


def _all_patches(images: NDArray, patch: int, stride: int = 1) -> NDArray:
    """Patches of images, `stride` pixels apart, of shape `(samples, rows, columns, values)`."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (patch, patch), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    return windows.reshape(*windows.shape[:3], -1)


def _some_patches(images: NDArray, patch: int, rng: np.random.Generator) -> NDArray:
    _, height, width, _ = images.shape
    which = rng.integers(len(images), size=_SAMPLE)
    top = rng.integers(height - patch + 1, size=_SAMPLE)
    left = rng.integers(width - patch + 1, size=_SAMPLE)
    windows = np.lib.stride_tricks.sliding_window_view(images, (patch, patch), axis=(1, 2))
    return windows[which, top, left].reshape(_SAMPLE, -1)


def _normalised(patches: NDArray) -> NDArray:
    patches = patches - patches.mean(axis=-1, keepdims=True)
    spread = np.sqrt(patches.var(axis=-1, keepdims=True) + 1e-4)
    return patches / spread


def _whitening(patches: NDArray) -> tuple[NDArray, NDArray]:
    mean = patches.mean(axis=0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(patches, rowvar=False)))
    scale = 1 / np.sqrt(np.maximum(values, 0) + 0.1)
    return mean, ((vectors * scale) @ vectors.T).astype("float32")


def _encode(
    patches: NDArray, mean: NDArray, whiten: NDArray, centres: NDArray, grid: int
) -> NDArray[np.float32]:
    samples, rows, columns, size = patches.shape
    flat = (_normalised(patches.reshape(-1, size)) - mean) @ whiten
    # In place: these arrays are far larger than those that they come from.
    distance = flat @ (-2 * centres.T)
    distance += (flat**2).sum(1, keepdims=True)
    distance += (centres**2).sum(1)
    np.maximum(distance, 0, out=distance)
    np.sqrt(distance, out=distance)
    active = np.subtract(distance.mean(1, keepdims=True), distance, out=distance)
    np.maximum(active, 0, out=active)
    active = active.reshape(samples, rows, columns, -1)
    cells = [cell.mean(axis=(1, 2)) for cell in _cells(active, grid)]
    return np.concatenate(cells, axis=1).astype("float32")


def _levels(images: NDArray, grid: int) -> NDArray[np.float32]:
    """The mean and the deviation of each channel in each cell."""
    cells = [(cell.mean(axis=(1, 2)), cell.std(axis=(1, 2))) for cell in _cells(images, grid)]
    return np.concatenate([level for cell in cells for level in cell], axis=1).astype("float32")


def _cells(maps: NDArray, grid: int) -> list[NDArray]:
    """The cells of a grid over maps of shape `(samples, rows, columns, channels)`."""
    row_cells, column_cells = (np.array_split(np.arange(side), grid) for side in maps.shape[1:3])
    return [
        maps[:, r[0] : r[-1] + 1, c[0] : c[-1] + 1]
        for r in row_cells
        for c in column_cells
        if len(r) and len(c)
    ]
