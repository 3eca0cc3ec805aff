"""Features whose products are a Gaussian kernel, so that a ridge on them is not linear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlkit.references._neighbours import squared_distances

#: Samples that the kernel is taken with; with more of them than this it is an approximation.
_LANDMARKS = 1500
#: The kernel's width as a share of the usual distance between samples.
_WIDTH = 0.5


def kernel_features(features: NDArray[np.floating], seed: int = 0) -> NDArray[np.float32]:
    """Maps features so that products are `exp(-d^2 / (2 w^2))`, by Nyström's method.

    The width `w` is half of the median distance. Landmarks are samples that are drawn.

    Args:
        features: Array of shape `(samples, features)`.
        seed: Seed of the landmarks.

    Returns:
        Array of shape `(samples, at most 1500)`.
    Reference:
        [Williams and Seeger, Using the Nyström Method to Speed Up Kernel Machines,
        2000](https://papers.nips.cc/paper/1866)
    """
    features = np.asarray(features, "float32")
    drawn = np.random.default_rng(seed).permutation(len(features))[:_LANDMARKS]
    landmarks = features[np.sort(drawn)]
    squared = squared_distances(features, landmarks)
    width = max(_WIDTH**2 * float(np.median(squared)), 1e-12)
    between = np.exp(-squared_distances(landmarks, landmarks) / (2 * width))
    values, vectors = np.linalg.eigh(between.astype("float64"))
    keep = values > values[-1] * 1e-6
    root = (vectors[:, keep] / np.sqrt(values[keep])).astype("float32")
    return np.exp(-squared / (2 * width)) @ root
