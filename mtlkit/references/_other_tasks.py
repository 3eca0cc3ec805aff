"""Features that hold what the other tasks' labels are predicted to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtlkit.references._kinds import Kind
from mtlkit.references._neighbours import Neighbours
from mtlkit.references._ridge import Ridge

if TYPE_CHECKING:
    from mtlkit.references.panel import Panel
    from mtlkit.references.reference import Reference

#: Principal components that stand for the inputs: enough for most of what all features show.
_COMPONENTS = 200
#: Components that each class of another task may weigh its own way.
_INTERACTING = 50
#: All of these weights together, so that tasks of many classes stay cheap.
_MOST_INTERACTIONS = 800
#: Parts of the samples, each of which is predicted from the others.
_FOLDS = 10


def _given(x: NDArray, seed: int) -> NDArray[np.float32]:
    """Of inputs alone there are none: other tasks are needed."""
    raise ValueError("Expected features that were made beforehand. Received: inputs")


#: References that know the other tasks' predictions; a panel gives them their features.
TOLD = Kind("told", "a ridge regression that knows the predictions of other tasks", _given)
TOLD_NEIGHBOURS = Kind(
    "told_neighbours",
    "the nearest neighbour within the predicted classes of other tasks",
    _given,
    Neighbours,
)
TOLD_NAMES = (TOLD.name, TOLD_NEIGHBOURS.name)


def told_features(panel: Panel, others: Mapping[str, NDArray]) -> dict[Kind, NDArray[np.float32]]:
    """Makes the features of both kinds.

    Args:
        panel: References of the same inputs, which predict the other tasks, too.
        others: Classes of the other tasks; -1: unlabelled. None of them is given to its own sample.

    Returns:
        The features by kind, each of shape `(samples, features)`.
    """
    components = components_of(panel.best)
    told = [predicted_without_its_fold(panel, labels) for labels in others.values()]
    # Neighbours that agree in more of the tasks come first, however far.
    far = 2 * float(np.linalg.norm(components, axis=1).max())
    groups = [far * np.eye(one.shape[1], dtype="float32")[one.argmax(axis=1)] for one in told]
    return {
        TOLD: with_interactions(components, told),
        TOLD_NEIGHBOURS: np.concatenate([components, *groups], axis=1),
    }


def components_of(reference: Reference) -> NDArray[np.float32]:
    """The first principal components of a reference's features, the first one with variance 1."""
    components = reference.ridge.components(_COMPONENTS)
    return components / max(float(components[:, 0].std()), 1e-9)


def with_interactions(components: NDArray, contexts: Sequence[NDArray]) -> NDArray[np.float32]:
    """Components, and contexts each of which weighs the first components its own way."""
    parts = [components]
    for context in contexts:
        most = _MOST_INTERACTIONS // (len(contexts) * context.shape[1])
        count = min(_INTERACTING, max(1, most))
        products = context[:, :, None] * components[:, None, :count]
        parts += [context, products.reshape(len(components), -1)]
    return np.concatenate(parts, axis=1, dtype="float32")


def ridge_without_its_fold(reference: Reference) -> NDArray:
    """What the ridge on a reference's features predicts of each sample, without its fold."""
    folds = np.random.default_rng(reference.seed).permutation(len(reference)) % _FOLDS
    ridge, targets = reference.ridge, reference.targets
    of_ridge = reference.predictor is ridge
    strength = reference.strength if of_ridge else ridge.best_strength(targets)
    return ridge.without_its_fold(targets, strength, folds)


def predicted_without_its_fold(panel: Panel, labels: NDArray) -> NDArray[np.float32]:
    """Scores of another task's classes, of which each is made without the sample's own label.

    Args:
        panel: References of the same inputs.
        labels: The other task's classes; -1: unlabelled.

    Returns:
        Array of shape `(samples, classes)`, from 0 to 1.
    """
    there = labels >= 0
    names, classes = np.unique(labels[there], return_inverse=True)
    fitted = [
        (one if there.all() else one.of_rows(there)).with_labels(classes, len(names))
        for one in panel.references.values()
        if one.kind.predictor is Ridge
    ]
    best = max(fitted, key=lambda one: one.skill)
    scores = np.empty((len(labels), len(names)), "float32")
    scores[there] = ridge_without_its_fold(best)
    if not there.all():
        whole = panel.references[best.kind.name].features
        scores[~there] = best.ridge.predict(best.targets, whole[~there], best.strength)
    return np.clip(scores, 0, 1)
