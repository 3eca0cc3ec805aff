"""Glyphs: ten shapes of a few random strokes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets.planting._scene import Pictures

#: Seeds of the shapes: those of the first two hundred that look least like themselves when
#: turned, and least like each other.
_SHAPE_SEEDS = (0, 5, 7, 13, 74, 118, 131, 152, 158, 174)
_NUM_STROKES = 4
#: Half of the image is 1; strokes end within this radius.
_RADIUS = 0.75
#: Images drawn at once: small enough that the temporaries stay in cache.
_CHUNK = 128


@dataclass(frozen=True, eq=False)
class _Strokes:
    """The strokes of each sample: ends of shape `(samples, strokes, 2)`, in (right, up)."""

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    centre: NDArray[np.float64]
    thickness: NDArray[np.float64]


def glyphs(
    samples: dict[str, int], rng: np.random.Generator, size: int = 32
) -> dict[str, Pictures]:
    """Draws glyphs of random strokes.

    The ten shapes are always the same. Samples of a shape differ a little in where their
    strokes end, in their thickness and position.

    Args:
        samples: Number of objects by split.
        rng: The source of identities and differences.
        size: Height and width of the images.

    Returns:
        The objects by split.

    Example:
        ```python
        import numpy as np
        from mtlkit.datasets.planting.families import glyphs

        pictures = glyphs({"train": 5}, np.random.default_rng(0))["train"]
        assert pictures.turned(np.zeros(5)).shape == (5, 32, 32)
        ```
    """
    streams = rng.spawn(len(samples))
    return {
        split: _pictures(number, stream, size)
        for (split, number), stream in zip(samples.items(), streams, strict=True)
    }


def _pictures(number: int, rng: np.random.Generator, size: int) -> Pictures:
    shapes = np.stack([_shape(seed) for seed in _SHAPE_SEEDS])
    identity = rng.integers(len(shapes), size=number)
    ends = shapes[identity] + rng.normal(0, 0.03, size=(number, *shapes.shape[1:]))
    strokes = _Strokes(
        start=ends[:, :-1],
        end=ends[:, 1:],
        centre=rng.uniform(-0.06, 0.06, size=(number, 1, 2)),
        thickness=rng.uniform(0.06, 0.11, size=number),
    )
    return Pictures(identity, lambda degrees: _draw(strokes, degrees, size))


def _shape(seed: int) -> NDArray[np.float64]:
    """The corners of a line of strokes, of shape `(strokes + 1, 2)`, around the origin."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, size=_NUM_STROKES + 1)
    radius = _RADIUS * np.sqrt(rng.uniform(0.05, 1, size=_NUM_STROKES + 1))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def _draw(strokes: _Strokes, degrees: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    radians = np.radians(degrees)
    start = (_turned(strokes.start, radians) + strokes.centre).astype("float32")
    end = (_turned(strokes.end, radians) + strokes.centre).astype("float32")
    thickness = strokes.thickness.astype("float32")
    images = np.empty((len(degrees), size, size), "float32")
    for first in range(0, len(images), _CHUNK):
        part = slice(first, first + _CHUNK)
        images[part] = _draw_chunk(start[part], end[part], thickness[part], size)
    return images


def _turned(points: NDArray[np.float64], radians: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turns points counter-clockwise, those of each sample by its own angle."""
    cos, sin = np.cos(radians)[:, None], np.sin(radians)[:, None]
    x, y = points[..., 0], points[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def _draw_chunk(
    start: NDArray[np.float32], end: NDArray[np.float32], thickness: NDArray[np.float32], size: int
) -> NDArray[np.float32]:
    """A pixel is as bright as it is covered by the nearest stroke."""
    middle = ((np.arange(size, dtype="float32") + 0.5) / size) * 2 - 1
    x, y = middle[None, None, :], -middle[None, :, None]  # rows grow downwards
    nearest = np.full((len(start), size, size), np.inf, "float32")
    for stroke in range(start.shape[1]):
        ax, ay = (start[:, stroke, axis, None, None] for axis in (0, 1))
        dx, dy = (end[:, stroke, axis, None, None] - a for axis, a in ((0, ax), (1, ay)))
        along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy + 1e-9)
        along = np.clip(along, 0, 1)
        nearest = np.minimum(nearest, (x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2)
    pixel = 2 / size
    covered = (thickness[:, None, None] - np.sqrt(nearest)) / pixel + 0.5
    return np.clip(covered, 0, 1)
