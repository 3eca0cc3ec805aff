"""Nearest neighbours that are found once, and predict any labels of the same samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: The numbers of neighbours that are tried.
_COUNTS = (2, 4, 8, 16, 32, 64)
#: The weight of what is farther: it orders the labels that none of the nearest has.
_TRACE = 1e-3
#: Samples whose distances are computed at once.
_CHUNK = 500


class Neighbours:
    """Predicts each sample from the labels of the samples nearest to it, itself left out.

    The label of each of the `k` nearest ones, at the distance `d`, weighs `1 - (d / r)^2`, with the
    distance `r` of the next one, and a label farther away weighs a trace. (Weights that fall more
    slowly let many far ones outvote the near ones, where noise makes all distances alike.)

    Args:
        features: Array of shape `(samples, features)`; distances are Euclidean.

    Attributes:
        usual_strength: A number of neighbours that suits most labels.
    """

    usual_strength = 8.0

    def __init__(self, features: NDArray[np.floating]) -> None:
        self._features = np.asarray(features, "float32")
        self._most = min(_COUNTS[-1] + 1, len(self._features) - 1)
        self._rows, self._distances = self._nearest(self._features, itself=True)

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
        return _weighed(targets, self._rows, self._distances, int(strength))

    def predict(self, targets: NDArray, features: NDArray, strength: float) -> NDArray:
        """Predicts other samples.

        Args:
            targets: Array of shape `(samples, outputs)`, of the samples that are known.
            features: Features of the others, of shape `(others, features)`.
            strength: The number of neighbours.

        Returns:
            Array of shape `(others, outputs)`.
        """
        rows, distances = self._nearest(np.asarray(features, "float32"))
        return _weighed(np.asarray(targets, "float32"), rows, distances, int(strength))

    def best_strength(self, targets: NDArray[np.floating]) -> float:
        """Returns the number of neighbours with the least squared error of left-out samples."""
        targets = np.asarray(targets, "float32")
        errors = [np.mean((self.left_out(targets, count) - targets) ** 2) for count in _COUNTS]
        return float(_COUNTS[int(np.argmin(errors))])

    def _nearest(self, asked: NDArray, itself: bool = False) -> tuple[NDArray, NDArray]:
        """The rows nearest to each sample that is asked for, and their distances, near ones first.

        With `itself`, the samples asked for are the known ones, and none is its own neighbour.
        """
        rows, distances = [], []
        for start in range(0, len(asked), _CHUNK):
            squared = squared_distances(asked[start : start + _CHUNK], self._features)
            if itself:
                own = np.arange(len(squared))
                squared[own, start + own] = np.inf
            near = np.argpartition(squared, self._most - 1, axis=1)[:, : self._most]
            found = np.take_along_axis(squared, near, axis=1)
            order = found.argsort(axis=1, kind="stable")
            rows.append(np.take_along_axis(near, order, axis=1))
            distances.append(np.sqrt(np.take_along_axis(found, order, axis=1)))
        return np.concatenate(rows), np.concatenate(distances)


def _weighed(targets: NDArray, rows: NDArray, distances: NDArray, count: int) -> NDArray:
    """The mean of neighbours' targets, near ones counting more."""
    width = distances[:, [min(count, rows.shape[1] - 1)]]
    squared = (distances / np.maximum(width, 1e-9)) ** 2
    weights = np.maximum(1 - squared, 0) + _TRACE * np.exp(-2 * squared)
    weights /= weights.sum(axis=1, keepdims=True)
    predicted = np.zeros((len(rows), *targets.shape[1:]), "float32")
    for column in range(rows.shape[1]):
        predicted += weights[:, column, None] * targets[rows[:, column]]
    return predicted


def squared_distances(first: NDArray, second: NDArray) -> NDArray:
    """Squared Euclidean distances between the rows of two arrays."""
    squared = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.maximum(squared, 0)
