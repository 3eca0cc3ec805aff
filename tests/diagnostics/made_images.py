"""Images of which everything is known: a bright row is the class."""

from __future__ import annotations

import functools

import numpy as np

from mtlkit.diagnostics import Reference


def bright_rows(samples: int, num_classes: int = 8, seed: int = 0, faintest: float = 1.0):
    """Noise with one brighter row out of 8, some fainter than others, and the row's number."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(num_classes, size=samples)
    x = rng.random((samples, 8, 8, 1), dtype="float32")
    x[np.arange(samples), rows] += rng.uniform(faintest, 1.0, size=(samples, 1, 1))
    return x, rows


def flipped(clean, how: str, rate: float, num_classes: int = 8, seed: int = 1):
    """Labels of which a share is wrong: any class, the `"opposite"` one or the `"next"`."""
    rng = np.random.default_rng(seed)
    size = len(clean)
    step = {
        "any": rng.integers(1, num_classes, size=size),
        "opposite": np.full(size, num_classes // 2),
        "next": np.ones(size, int),
    }[how]
    return np.where(rng.random(size) < rate, (clean + step) % num_classes, clean)


@functools.cache
def reference(how: str = "any", rate: float = 0.0, num_classes: int = 8, samples: int = 2000):
    """A reference of bright rows, some hard to see, with such labels.

    Of `"twins"`, two classes share each row; `"blurred"` rows are near the class; labels that
    are `"noise"` say nothing.
    """
    if how == "blurred":
        return Reference(*_blurred(samples))
    rows = num_classes // 2 if how == "twins" else num_classes
    x, clean = bright_rows(samples, rows, faintest=0.0)
    if how == "twins":
        other = np.random.default_rng(2).random(samples) < 0.5
        y = clean + num_classes // 2 * other
    elif how == "noise":
        y = np.random.default_rng(3).integers(num_classes, size=samples)
    else:
        y = flipped(clean, how, rate, num_classes)
    return Reference(x, y, num_classes)


def _blurred(samples: int):
    """Rows around a circle that are about where a position is, and the bin of the position."""
    rng = np.random.default_rng(0)
    position = 8 * rng.random(samples)
    x = rng.random((samples, 16, 16, 1), dtype="float32")
    rows = np.floor(2 * (position + rng.normal(0, 0.8, samples))).astype(int) % 16
    x[np.arange(samples), rows] += 1
    return x, position.astype(int)


def blobs(samples, seed, noise=0.02):
    """Bright spots at random places: similar images of one kind, none of them equal."""
    rng = np.random.default_rng(seed)
    row, column = rng.uniform(2, 10, size=(2, samples, 1, 1))
    at = np.arange(12)
    spot = np.exp(-((at[:, None] - row) ** 2 + (at - column) ** 2) / 4)
    x = spot + noise * rng.normal(size=spot.shape)
    return x[..., None].astype("float32"), (row[:, 0, 0] > 6).astype(int) * 2 + (
        column[:, 0, 0] > 6
    )
