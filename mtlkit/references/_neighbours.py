"""Nearest neighbours that are found once, and predict any labels of the same samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: The numbers of neighbours that are tried.
_COUNTS = (2, 4, 8, 16, 32, 64)
#: Samples whose distances are computed at once.
_CHUNK = 500


class Neighbours:
    """Predicts each sample from the labels of the samples nearest to it, itself left out.

    The label of a neighbour at the distance `d` weighs `exp(-2 (d / d_k)^2)`, with the distance
    `d_k` of the `k`-th neighbour: near ones count more, and the width follows the density.

    Args:
        features: Array of shape `(samples, features)`; distances are Euclidean.

    Attributes:
        usual_strength: A number of neighbours that suits most labels.
    """

    usual_strength = 8.0

    def __init__(self, features: NDArray[np.floating]) -> None:
        features = np.asarray(features, "float32")
        most = min(_COUNTS[-1], len(features) - 1)
        found = [_nearest(features, start, most) for start in range(0, len(features), _CHUNK)]
        self._rows = np.concatenate([rows for rows, _ in found])
        self._distances = np.concatenate([distances for _, distances in found])

    def left_out(self, targets: NDArray[np.floating], strength: float | None = None) -> NDArray:
        """Predicts each sample from its neighbours.

        Args:
            targets: Array of shape `(samples, outputs)`.
            strength: The number of neighbours. `None`: that with the least squared error.

        Returns:
            Array of the shape of the targets.
        """
        targets = np.asarray(targets, "float32")
        if strength is None:
            strength = self.best_strength(targets)
        weights = self._weights(int(strength))
        predicted = np.zeros(targets.shape, "float32")
        for column in range(weights.shape[1]):
            predicted += weights[:, column, None] * targets[self._rows[:, column]]
        return predicted

    def best_strength(self, targets: NDArray[np.floating]) -> float:
        """Returns the number of neighbours with the least squared error of left-out samples."""
        targets = np.asarray(targets, "float32")
        errors = [np.mean((self.left_out(targets, count) - targets) ** 2) for count in _COUNTS]
        return float(_COUNTS[int(np.argmin(errors))])

    def _weights(self, count: int) -> NDArray[np.float32]:
        """The weight of each neighbour, of shape `(samples, neighbours)`; a row adds up to 1."""
        width = self._distances[:, min(count, self._distances.shape[1]) - 1, None]
        weights = np.exp(-2 * (self._distances / np.maximum(width, 1e-9)) ** 2)
        return weights / weights.sum(axis=1, keepdims=True)


def _nearest(features: NDArray, start: int, most: int) -> tuple[NDArray, NDArray]:
    """The nearest other samples of some samples, and their distances, the nearest first."""
    squared = squared_distances(features[start : start + _CHUNK], features)
    own = np.arange(len(squared))
    squared[own, start + own] = np.inf
    rows = np.argpartition(squared, most - 1, axis=1)[:, :most]
    near = np.take_along_axis(squared, rows, axis=1)
    order = near.argsort(axis=1, kind="stable")
    return (
        np.take_along_axis(rows, order, axis=1),
        np.sqrt(np.take_along_axis(near, order, axis=1)),
    )


def squared_distances(first: NDArray, second: NDArray) -> NDArray:
    """Squared Euclidean distances between the rows of two arrays."""
    squared = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.maximum(squared, 0)
