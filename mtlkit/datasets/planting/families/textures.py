"""Textures: striped patches, rendered at a high resolution and reduced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets.planting._blocks import block_mean
from mtlkit.datasets.planting._scene import Pictures

#: How many times finer textures are rendered than the images are.
_FINER = 4
#: Images rendered at once: small enough that the temporaries stay in cache.
_CHUNK = 32

# The identities: stripes per image, the angle between stripes and the direction of the
# texture (degrees), and how bright the blob at the head of the texture is.
_STRIPES = np.array([2.5, 2.5, 3.0, 3.5, 3.5, 4.0, 4.5, 5.0, 5.0, 5.5])
_SKEW = np.array([0.0, 90.0, 45.0, 0.0, 120.0, 90.0, 30.0, 60.0, 0.0, 90.0])
_BLOB = np.array([0.0, 0.8, 0.4, 0.8, 0.0, 0.4, 0.8, 0.0, 0.4, 0.8])


@dataclass(frozen=True, eq=False)
class _Patches:
    """What distinguishes the samples, each of shape `(samples, 1, 1)`."""

    stripes: NDArray[np.float32]
    skew: NDArray[np.float32]
    blob: NDArray[np.float32]
    phase: NDArray[np.float32]
    fade: NDArray[np.float32]


def textures(
    samples: dict[str, int], rng: np.random.Generator, size: int = 32
) -> dict[str, Pictures]:
    """Renders striped patches that fade away to one side, so that they have a direction.

    They are rendered at four times the resolution, at their angle, and reduced by averaging.
    The ten identities differ in the stripes' number and slant, and in a blob at the bright
    end; samples differ in the stripes' phase and a little in number, slant and fading.

    Args:
        samples: Number of objects by split.
        rng: The source of identities and differences.
        size: Height and width of the images.

    Returns:
        The objects by split.

    Example:
        ```python
        import numpy as np
        from mtlkit.datasets.planting.families import textures

        pictures = textures({"train": 5}, np.random.default_rng(0))["train"]
        assert pictures.turned(np.zeros(5)).shape == (5, 32, 32)
        ```
    """
    streams = rng.spawn(len(samples))
    return {
        split: _pictures(number, stream, size)
        for (split, number), stream in zip(samples.items(), streams, strict=True)
    }


def _pictures(number: int, rng: np.random.Generator, size: int) -> Pictures:
    identity = rng.integers(len(_STRIPES), size=number)
    patches = _Patches(
        stripes=_column(_STRIPES[identity] * rng.uniform(0.95, 1.05, size=number)),
        skew=_column(np.radians(_SKEW[identity] + rng.normal(0, 2, size=number))),
        blob=_column(_BLOB[identity]),
        phase=_column(rng.uniform(0, 2 * np.pi, size=number)),
        fade=_column(rng.uniform(2.5, 3.5, size=number)),
    )
    return Pictures(identity, lambda degrees: _render(patches, degrees, size))


def _column(values: NDArray) -> NDArray[np.float32]:
    return values.astype("float32")[:, None, None]


def _render(patches: _Patches, degrees: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    radians = _column(np.radians(degrees))
    images = np.empty((len(degrees), size, size), "float32")
    for first in range(0, len(images), _CHUNK):
        part = slice(first, first + _CHUNK)
        chunk = _Patches(**{name: values[part] for name, values in vars(patches).items()})
        images[part] = block_mean(_render_chunk(chunk, radians[part], _FINER * size), _FINER)
    return images


def _render_chunk(
    patches: _Patches, radians: NDArray[np.float32], side: int
) -> NDArray[np.float32]:
    middle = ((np.arange(side, dtype="float32") + 0.5) / side) * 2 - 1
    x, y = middle[None, None, :], -middle[None, :, None]  # rows grow downwards
    ahead = np.cos(radians) * x + np.sin(radians) * y
    along = np.cos(radians + patches.skew) * x + np.sin(radians + patches.skew) * y
    aside = np.cos(radians) * y - np.sin(radians) * x
    stripes = 0.5 + 0.5 * np.sin(np.pi * patches.stripes * along + patches.phase)
    fading = 1 / (1 + np.exp(-patches.fade * ahead))
    blob = patches.blob * np.exp(-((ahead - 0.5) ** 2 + aside**2) / 0.04)
    disc = np.clip((0.95 - np.sqrt(x * x + y * y)) * 10, 0, 1)
    return np.clip(disc * (0.9 * stripes * fading + blob), 0, 1)
