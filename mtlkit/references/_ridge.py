"""Ridge regression on fixed features, with predictions for samples that were left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlkit._statistics import fitted_temperature

#: Strengths that are tried, in units of the mean squared singular value.
_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


class Ridge:
    """Ridge regression that is solved once, and fits any labels of the same samples.

    The features are decomposed once. For any labels, `left_out` then returns what the
    regression predicts for each sample when it is fitted to all others, in closed form:
    `yhat_(-i) = y_i - (y_i - yhat_i) / (1 - h_i)`, with the leverages `h`.

    Args:
        features: Array of shape `(samples, features)`; centred by the class.

    Attributes:
        usual_strength: A strength that suits most labels, where it must not be chosen by them.
    """

    usual_strength = 0.1

    def __init__(self, features: NDArray[np.floating]) -> None:
        centred = np.asarray(features, "float32")
        self._mean = centred.mean(axis=0)
        self._centred = centred - self._mean
        self._values, self._left = _decomposed(self._centred)
        self._scale = float(np.mean(self._values)) if len(self._values) else 1.0
        self._shrinkages: dict[float, tuple[NDArray, NDArray]] = {}

    def left_out(self, targets: NDArray[np.floating], strength: float | None = None) -> NDArray:
        """Predicts each sample from all others.

        Args:
            targets: Array of shape `(samples, outputs)`.
            strength: Strength of the penalty, in units of the mean squared singular value.
                `None`: that with the least squared error of left-out samples.

        Returns:
            Array of the shape of the targets.
        """
        if strength is None:
            strength = self.best_strength(targets)
        targets = np.asarray(targets, "float32")
        return self._left_out(targets, self._projected(targets), strength)

    def without_its_fold(
        self, targets: NDArray[np.floating], strength: float, folds: NDArray[np.int64]
    ) -> NDArray:
        """Predicts the samples of each fold from all other folds.

        What is predicted without a single label shows that label: it is what all others lack to
        their sum. So what others learn from has to be predicted without a whole fold. In closed
        form, for the rows `B` of a fold: `y_B - (I - H_BB)^-1 (y_B - yhat_B)`, with the hat
        matrix `H`.

        Args:
            targets: Array of shape `(samples, outputs)`.
            strength: Strength of the penalty.
            folds: The fold of each sample.

        Returns:
            Array of the shape of the targets.
        """
        targets = np.asarray(targets, "float32")
        shrink, _ = self._shrinkage(strength)
        residual = targets - self._fitted(targets, self._projected(targets), shrink)
        found = np.empty_like(targets)
        for fold in np.unique(folds):
            rows = np.flatnonzero(folds == fold)
            left = self._left[rows].astype("float64")
            rest = np.eye(len(rows)) - (left * shrink) @ left.T - 1 / len(self._left)
            found[rows] = targets[rows] - np.linalg.solve(rest, residual[rows])
        return found

    def best_strength(self, targets: NDArray[np.floating]) -> float:
        """Returns the strength with the least squared error of left-out samples."""
        targets = np.asarray(targets, "float32")
        projected = self._projected(targets)
        errors = [
            float(np.mean((self._left_out(targets, projected, strength) - targets) ** 2))
            for strength in _STRENGTHS
        ]
        return _STRENGTHS[int(np.argmin(errors))]

    def predict(self, targets: NDArray, features: NDArray, strength: float) -> NDArray:
        """Predicts other samples.

        Args:
            targets: Array of shape `(samples, outputs)`, of the samples that are known.
            features: Features of the others, of shape `(others, features)`.
            strength: Strength of the penalty.

        Returns:
            Array of shape `(others, outputs)`.
        """
        targets = np.asarray(targets, "float32")
        scaled = self._projected(targets) / (self._values + strength * self._scale)[:, None]
        weights = self._centred.T @ (self._left @ scaled.astype("float32"))
        return (features - self._mean) @ weights + targets.mean(axis=0)

    def components(self, count: int) -> NDArray[np.float32]:
        """Returns the principal components of the features that vary most.

        Returns:
            Array of shape `(samples, components)`, the largest variance first.
        """
        largest = np.sqrt(self._values[-count:], dtype="float64").astype("float32")
        return (self._left[:, -count:] * largest)[:, ::-1]

    def _projected(self, targets: NDArray) -> NDArray:
        return self._left.T @ (targets - targets.mean(axis=0))

    def _left_out(self, targets: NDArray, projected: NDArray, strength: float) -> NDArray:
        shrink, leverage = self._shrinkage(strength)
        fitted = self._fitted(targets, projected, shrink)
        return targets - (targets - fitted) / (1 - leverage)[:, None]

    def _fitted(self, targets: NDArray, projected: NDArray, shrink: NDArray) -> NDArray:
        return self._left @ (shrink[:, None] * projected) + targets.mean(axis=0)

    def _shrinkage(self, strength: float) -> tuple[NDArray, NDArray]:
        """What a strength leaves of each component, and the leverages; kept for other labels."""
        if strength not in self._shrinkages:
            shrink = (self._values / (self._values + strength * self._scale)).astype("float32")
            leverage = (self._left**2) @ shrink + 1 / len(self._left)
            self._shrinkages[strength] = shrink, np.minimum(leverage, 1 - 1e-4)
        return self._shrinkages[strength]


def _decomposed(centred: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
    """Squared singular values of a matrix, and its left singular vectors."""
    samples, features = centred.shape
    gram = centred @ centred.T if samples < features else centred.T @ centred
    values, vectors = np.linalg.eigh(gram.astype("float64"))
    keep = values > max(values[-1] * 1e-7, 0.0)  # none, of constant features
    values, vectors = values[keep], vectors[:, keep].astype("float32")
    if samples < features:
        return values, vectors
    return values, (centred @ vectors) / np.sqrt(values, dtype="float32")


def one_hot(labels: NDArray[np.integer], num_classes: int) -> NDArray[np.float32]:
    """Returns classes as one-hot rows, float32."""
    return np.eye(num_classes, dtype="float32")[labels]


def calibrated(
    scores: NDArray[np.floating],
    labels: NDArray[np.integer],
    others: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Turns scores into probabilities by a temperature that fits the labels best.

    Args:
        scores: Scores of left-out samples, of shape `(samples, classes)`.
        labels: Their classes.
        others: The scores that are turned into probabilities. `None`: the same.

    Returns:
        Probabilities of their shape.
    """
    from scipy.special import softmax

    temperature = fitted_temperature(scores, labels, least=np.exp(-6.0), most=np.exp(4.0))
    return softmax((scores if others is None else others) / temperature, axis=1).astype("float32")
