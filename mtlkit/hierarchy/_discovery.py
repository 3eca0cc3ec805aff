"""Finding groups of classes: in their confusions, or in their embeddings."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mtlkit._warnings import warn

#: How groups are found in a confusion matrix.
METHODS = ("linkage", "spectral")

#: Connects classes that are never confused with others, so that spectra are defined.
_FAINT = 1e-6


def confusion_groups(
    matrix: ArrayLike,
    num_groups: int | Sequence[int],
    method: str = "linkage",
    bootstrap: int = 50,
    seed: int = 0,
    force: bool = False,
) -> tuple[dict[str, Any], float | None]:
    """Groups classes that are confused with each other, see `Hierarchy.from_confusion`."""
    counts = _checked_confusion(matrix)
    sizes = _checked_sizes(num_groups, len(counts))
    if method not in METHODS:
        raise ValueError(f"Expected method to be one of {METHODS}. Received: method={method!r}")
    if method == "spectral" and len(sizes) > 1:
        raise ValueError(
            'Expected one number of groups for method="spectral", whose groups are not nested. '
            f"Received: num_groups={num_groups}"
        )
    _check_above_chance(counts, force)

    def cluster(matrix: np.ndarray) -> list[np.ndarray]:
        affinity = confusion_affinity(matrix)
        if method == "spectral":
            return [_spectral(affinity, sizes[0], seed)]
        return _average_linkage(1 - affinity, sizes)

    levels = cluster(counts)
    stability = None
    if bootstrap and np.array_equal(counts, np.round(counts)):
        stability = _stability(counts, levels, cluster, bootstrap, seed)
    return _nested(levels), stability


def embedding_groups(class_means: ArrayLike, num_groups: int | Sequence[int]) -> dict[str, Any]:
    """Groups classes by the cosine similarity of their embeddings, with average linkage.

    Args:
        class_means: The mean embedding of each class, of shape `(classes, dimensions)`.
        num_groups: Number of groups; several numbers for several levels.
    """
    means = np.asarray(class_means, "float64")
    if means.ndim != 2 or not np.all(np.isfinite(means)):
        raise ValueError(
            "Expected class_means of finite numbers, of shape (classes, dimensions). "
            f"Received: shape {means.shape}"
        )
    sizes = _checked_sizes(num_groups, len(means))
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    if np.any(lengths == 0):
        raise ValueError(
            "Expected class_means that are not zero, since zero has no direction. "
            f"Received: zero for class {int(np.argmin(lengths))}"
        )
    cosines = (means / lengths) @ (means / lengths).T
    return _nested(_average_linkage(1 - cosines, sizes))


def confusion_affinity(matrix: ArrayLike) -> np.ndarray:
    """How often classes are taken for each other, `(F + F^T) / 2` with a zero diagonal.

    `F` is the confusion matrix with rows that sum to 1; the row of a class without samples
    is zero.

    Returns:
        Affinities in [0, 1], of the shape of the matrix.
    """
    rates = _rates(np.asarray(matrix, "float64"))
    affinity = (rates + rates.T) / 2
    np.fill_diagonal(affinity, 0)
    return affinity


def _rates(counts: np.ndarray) -> np.ndarray:
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)


def _checked_confusion(matrix: ArrayLike) -> np.ndarray:
    counts = np.asarray(matrix, "float64")
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) < 3:
        raise ValueError(
            "Expected a square confusion matrix of at least three classes. "
            f"Received: shape {counts.shape}"
        )
    if not np.all(np.isfinite(counts)) or counts.min() < 0 or counts.sum() == 0:
        raise ValueError(
            "Expected a confusion matrix of finite numbers >= 0, not all of them 0. "
            f"Received: numbers from {counts.min()} to {counts.max()}"
        )
    return counts


def _checked_sizes(num_groups: int | Sequence[int], num_classes: int) -> list[int]:
    sizes = [num_groups] if isinstance(num_groups, int | np.integer) else list(num_groups)
    rising = all(a < b for a, b in itertools.pairwise(sizes))
    if not sizes or not rising or sizes[0] < 2 or sizes[-1] >= num_classes:
        raise ValueError(
            f"Expected num_groups in 2...{num_classes - 1}, several of them in rising order. "
            f"Received: num_groups={num_groups}"
        )
    return [int(size) for size in sizes]


def _check_above_chance(counts: np.ndarray, force: bool) -> None:
    seen = counts.sum(axis=1) > 0
    accuracy = _rates(counts).diagonal()[seen].mean()
    if accuracy >= 2 / len(counts):
        return
    found = (
        f"a mean accuracy of {accuracy:.1%} a class, where chance is {1 / len(counts):.1%}: at "
        "chance a confusion matrix is noise, and so are groups found in it"
    )
    warn(f"The confusion matrix has {found}.")
    if not force:
        raise ValueError(
            "Expected a confusion matrix with an accuracy of at least twice chance (or force=True)."
            f" Received: {found}"
        )


def _average_linkage(distance: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    from scipy.cluster.hierarchy import cut_tree, linkage
    from scipy.spatial.distance import squareform

    distance = np.maximum((distance + distance.T) / 2, 0)
    np.fill_diagonal(distance, 0)
    merges = linkage(squareform(distance, checks=False), method="average")
    return list(cut_tree(merges, n_clusters=sizes).T)


def _spectral(affinity: np.ndarray, num_groups: int, seed: int) -> np.ndarray:
    from sklearn.cluster import SpectralClustering

    model = SpectralClustering(
        num_groups, affinity="precomputed", assign_labels="cluster_qr", random_state=seed
    )
    return np.asarray(model.fit_predict(affinity + _FAINT))


def _stability(
    counts: np.ndarray,
    levels: list[np.ndarray],
    cluster: Callable[[np.ndarray], list[np.ndarray]],
    samples: int,
    seed: int,
) -> float:
    """The mean adjusted Rand index between the groups, and those of resampled counts."""
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(seed)
    rates = _rates(counts)
    scores = []
    for _ in range(samples):
        resampled = np.array(
            [
                rng.multinomial(int(row.sum()), rate) if row.any() else np.zeros(len(row))
                for row, rate in zip(counts, rates, strict=True)
            ]
        )
        again = cluster(resampled)
        scores += [adjusted_rand_score(a, b) for a, b in zip(levels, again, strict=True)]
    return float(np.mean(scores))


def _nested(levels: list[np.ndarray], prefix: str = "group ", among: Any = None) -> dict[str, Any]:
    """Nested groups from the group of each class at each level, by the first class in each."""
    among = np.arange(len(levels[0])) if among is None else among
    groups = levels[0][among]
    order = groups[np.sort(np.unique(groups, return_index=True)[1])]
    members = {f"{prefix}{number}": among[groups == group] for number, group in enumerate(order)}
    if len(levels) == 1:
        return {name: classes.tolist() for name, classes in members.items()}
    return {name: _nested(levels[1:], f"{name}.", classes) for name, classes in members.items()}
