"""Boosted trees, fitted anew for each fifth of the samples that they leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

#: Parts of the samples, each predicted by trees that were fitted to the others.
_FOLDS = 5
#: Trees of a class, and their leaves.
_TREES, _LEAVES = 60, 15


class Boosting:
    """Predicts columns of a table by gradient-boosted trees (scikit-learn's histogram kind).

    Args:
        features: Array of shape `(samples, columns)`.

    Attributes:
        usual_strength: Of no meaning: trees have one setting.
    """

    usual_strength = 1.0

    def __init__(self, features: NDArray[np.floating]) -> None:
        self._features = np.asarray(features)

    def best_strength(self, targets: NDArray[np.floating]) -> float:
        """Returns the one strength that there is."""
        return self.usual_strength

    def left_out(self, targets: NDArray[np.floating], strength: float | None = None) -> NDArray:
        """Predicts each sample from the four fifths that do not hold it.

        Args:
            targets: One-hot classes, or values, of shape `(samples, outputs)`.
            strength: Of no meaning.

        Returns:
            Array of the shape of the targets.
        """
        predicted = np.empty(targets.shape, "float32")
        order = np.random.default_rng(0).permutation(len(targets))
        for part in np.array_split(order, _FOLDS):
            rest = np.setdiff1d(order, part)
            predicted[part] = _fitted(self._features[rest], targets[rest], self._features[part])
        return predicted

    def predict(self, targets: NDArray, features: NDArray, strength: float) -> NDArray:
        """Predicts other samples.

        Args:
            targets: Those of the known samples, of shape `(samples, outputs)`.
            features: Columns of the others.
            strength: Of no meaning.

        Returns:
            Array of shape `(others, outputs)`.
        """
        return _fitted(self._features, targets, features)


def _fitted(known: NDArray, targets: NDArray, asked: NDArray) -> NDArray[np.float32]:
    # Imported first: limits hold for the libraries that are loaded by then.
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    options: dict[str, Any] = {
        "max_iter": _TREES,
        "max_leaf_nodes": _LEAVES,
        "early_stopping": False,
        "random_state": 0,
    }
    predicted = np.zeros((len(asked), targets.shape[1]), "float32")
    # Threads wait for one another in loops: beside other work that takes a hundred times as long.
    with threadpool_limits(1, "openmp"):
        if _is_one_hot(targets):
            labels = targets.argmax(axis=1)
            classes = np.unique(labels)
            if len(classes) == 1:
                predicted[:, classes[0]] = 1.0
            else:
                trees: Any = HistGradientBoostingClassifier(**options).fit(known, labels)
                predicted[:, trees.classes_] = trees.predict_proba(asked)
            return predicted
        for column in range(targets.shape[1]):
            trees = HistGradientBoostingRegressor(**options).fit(known, targets[:, column])
            predicted[:, column] = trees.predict(asked)
    return predicted


def _is_one_hot(targets: NDArray) -> bool:
    is_binary = ((targets == 0) | (targets == 1)).all() and (targets.sum(axis=1) == 1).all()
    return targets.shape[1] > 1 and bool(is_binary)
