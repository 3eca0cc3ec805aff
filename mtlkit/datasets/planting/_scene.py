"""The images and labels of one split while they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: How many times as often the most frequent class appears as the rarest, in Zipf's layout.
ZIPF_RATIO = 100.0


@dataclass(frozen=True)
class Pictures:
    """Objects that can be drawn at any angle.

    Args:
        identity: The shape of each object, of shape `(samples,)`.
        turned: Draws each object at its own angle: degrees of shape `(samples,)`, positive
            counter-clockwise as displayed, to images in `[0, 1]` of shape
            `(samples, size, size)`.
    """

    identity: NDArray[np.int64]
    turned: Callable[[NDArray[np.float64]], NDArray[np.float32]]


@dataclass(frozen=True)
class Layout:
    """How orientations are drawn."""

    zipf: bool = False
    spread: float = 0.5
    deviation: float | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """One split: images before they are dimmed, and labels.

    Args:
        split: `"train"`, `"val"` or `"test"`.
        num_bins: Number of bins around the circle.
        images: Of shape `(samples, size, size)`, in `[0, 1]`.
        labels: Labels by task.
        true_bins: The bins at which the objects are.
        degrees: The angles at which the objects are.
        amplitude: What the images are to be multiplied by.
        high: The same images at a higher resolution, if any.
    """

    split: str
    num_bins: int
    images: NDArray[np.float32]
    labels: dict[str, NDArray]
    true_bins: NDArray[np.int64]
    degrees: NDArray[np.float64]
    amplitude: NDArray[np.float32]
    high: NDArray[np.float32] | None = None


def bin_frequencies(layout: Layout, num_bins: int, rng: np.random.Generator) -> NDArray:
    """The probability of each bin.

    Returns:
        Probabilities of shape `(num_bins,)`.
    """
    if not layout.zipf:
        return np.full(num_bins, 1 / num_bins)
    weights = np.arange(1, num_bins + 1) ** (-np.log(ZIPF_RATIO) / np.log(num_bins))
    return rng.permutation(weights / weights.sum())


def draw_scene(
    split: str,
    pictures: Pictures,
    layout: Layout,
    frequencies: NDArray,
    rng: np.random.Generator,
) -> Scene:
    """Turns each object by an angle of its own, and labels it."""
    samples, num_bins = len(pictures.identity), len(frequencies)
    bins = rng.choice(num_bins, size=samples, p=frequencies).astype("int64")
    if layout.deviation is None:
        within = rng.uniform(-layout.spread, layout.spread, size=samples)
    else:
        within = rng.normal(0.0, layout.deviation, size=samples)
    amplitude = rng.uniform(0.2, 1.0, size=samples).astype("float32")
    labels = {"identity": pictures.identity, "orientation": bins, "intensity": amplitude}
    degrees = (bins + within) * (360.0 / num_bins)
    images = pictures.turned(degrees)
    return Scene(split, num_bins, images, labels, bins, degrees, amplitude)
