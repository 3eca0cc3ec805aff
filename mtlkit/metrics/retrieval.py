"""Retrieval: how good the nearest neighbours in an embedding are.

For each query the reference samples are ranked by the cosine of their embeddings. Without
references of their own, queries are looked for among each other, and never found themselves.
Samples without a label (-1) are neither query nor reference. Where a score asks for samples of
the query's class, queries without any are left out. References of equal cosine come in a random
order (the same in each run), so that an embedding which has collapsed scores at chance, however
the samples are sorted. Queries are taken in chunks: memory grows with the number of references,
not with its square.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.metrics._labels import is_labelled

#: Queries that are ranked together.
_CHUNK = 256


def recall_at_k(
    embeddings: ArrayLike,
    labels: ArrayLike,
    k: int = 1,
    *,
    references: tuple[ArrayLike, ArrayLike] | None = None,
    chunk_size: int = _CHUNK,
) -> float:
    """Share of queries that have a sample of their class among the `k` nearest.

    Args:
        embeddings: Embeddings of shape `(samples, dim)`, of any length.
        labels: Integer labels of shape `(samples,)` or `(samples, 1)`; -1 where missing.
        k: How many neighbours are looked at.
        references: Embeddings and labels of the samples to find. `None`: the queries, each
            without itself.
        chunk_size: Number of queries ranked together.

    Returns:
        A number in `[0, 1]`.

    Raises:
        ValueError: If shapes or dtypes are wrong, an embedding is not finite, `k < 1`, or no
            query has another sample of its class.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics.retrieval import recall_at_k

        embeddings = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        assert recall_at_k(embeddings, np.array([0, 0, 1, 1]), k=1) == 1.0
        ```
    """
    _check_counts(k=k, chunk_size=chunk_size)
    search = _Search(embeddings, labels, references, chunk_size)
    return search.mean({"recall": _recall(k)}, depth=k)["recall"]


def r_precision(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    references: tuple[ArrayLike, ArrayLike] | None = None,
    chunk_size: int = _CHUNK,
) -> float:
    """Share of samples of the query's class among the `R` nearest, if there are `R` to find.

    Args:
        embeddings: As in `recall_at_k`.
        labels: As in `recall_at_k`.
        references: As in `recall_at_k`.
        chunk_size: As in `recall_at_k`.

    Returns:
        The mean over queries, in `[0, 1]`.

    Raises:
        ValueError: As `recall_at_k`.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics.retrieval import r_precision

        embeddings = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        assert r_precision(embeddings, np.array([0, 0, 1, 1])) == 1.0
        ```

    Reference:
        [Musgrave et al., A Metric Learning Reality Check, 2020](https://arxiv.org/abs/2003.08505)
    """
    _check_counts(chunk_size=chunk_size)
    search = _Search(embeddings, labels, references, chunk_size)
    return search.mean({"r_precision": _r_precision}, search.relevant.max())["r_precision"]


def map_at_r(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    references: tuple[ArrayLike, ArrayLike] | None = None,
    chunk_size: int = _CHUNK,
) -> float:
    """Mean average precision at `R`: like `r_precision`, but early finds count more.

    For a query with `R` samples of its class to find it is
    `1 / R sum_{i <= R} P(i) rel(i)`, with the precision `P(i)` of the `i` nearest, and `rel(i)`
    whether the `i`-th is of the class.

    Args:
        embeddings: As in `recall_at_k`.
        labels: As in `recall_at_k`.
        references: As in `recall_at_k`.
        chunk_size: As in `recall_at_k`.

    Returns:
        The mean over queries, in `[0, 1]`.

    Raises:
        ValueError: As `recall_at_k`.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics.retrieval import map_at_r

        embeddings = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        assert map_at_r(embeddings, np.array([0, 0, 1, 1])) == 1.0
        ```

    Reference:
        [Musgrave et al., A Metric Learning Reality Check, 2020](https://arxiv.org/abs/2003.08505)
    """
    _check_counts(chunk_size=chunk_size)
    search = _Search(embeddings, labels, references, chunk_size)
    return search.mean({"map_at_r": _map_at_r}, search.relevant.max())["map_at_r"]


def nearest_neighbour_distance(
    embeddings: ArrayLike,
    labels: ArrayLike,
    num_bins: int,
    *,
    references: tuple[ArrayLike, ArrayLike] | None = None,
    chunk_size: int = _CHUNK,
) -> float:
    """Mean distance, around a circle, of a query's label and that of its nearest neighbour.

    A quarter of the circle is chance. All labelled queries count, also those that are alone
    in their class.

    Args:
        embeddings: As in `recall_at_k`.
        labels: As in `recall_at_k`; bins around the circle.
        num_bins: Number of bins around the circle.
        references: As in `recall_at_k`.
        chunk_size: As in `recall_at_k`.

    Returns:
        The mean over queries, in bins; times `360 / num_bins`, in degrees.

    Raises:
        ValueError: If shapes or dtypes are wrong, an embedding is not finite, `num_bins < 2`,
            or there is nothing to find.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics.retrieval import nearest_neighbour_distance

        embeddings = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        assert nearest_neighbour_distance(embeddings, np.array([0, 31, 8, 9]), num_bins=32) == 1
        ```
    """
    _check_counts(chunk_size=chunk_size)
    _check_num_bins(num_bins)
    search = _Search(embeddings, labels, references, chunk_size)
    return search.mean({"distance": _distance(num_bins)}, depth=1, of_all=True)["distance"]


def retrieval_scores(
    embeddings: ArrayLike,
    labels: ArrayLike,
    ks: Sequence[int] = (1, 5),
    num_bins: int | None = None,
    *,
    references: tuple[ArrayLike, ArrayLike] | None = None,
    chunk_size: int = _CHUNK,
) -> dict[str, float]:
    """Computes all scores of retrieval, beside chance and the number of queries.

    Args:
        embeddings: As in `recall_at_k`.
        labels: As in `recall_at_k`.
        ks: Numbers of neighbours for the recall.
        num_bins: Number of bins around the circle, where labels are such; or `None`.
        references: As in `recall_at_k`.
        chunk_size: As in `recall_at_k`.

    Returns:
        `"recall_at_{k}"`, `"r_precision"` and `"map_at_r"`; with `num_bins` also
        `"nearest_neighbour_bins"` and `"nearest_neighbour_degrees"`; then `"chance"`, the recall
        at 1 and the R-precision of neighbours picked at random; and `"queries"`, the number of
        queries that have a sample of their class to find.

    Raises:
        ValueError: As the single functions.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics.retrieval import retrieval_scores

        rng = np.random.default_rng(0)
        labels = np.repeat(np.arange(4), 25)
        scores = retrieval_scores(rng.normal(size=(100, 8)), labels, ks=(1, 5), num_bins=4)
        assert scores["queries"] == 100 and abs(scores["r_precision"] - scores["chance"]) < 0.1
        ```
    """
    _check_counts(chunk_size=chunk_size, **{f"ks[{i}]": k for i, k in enumerate(ks)})
    search = _Search(embeddings, labels, references, chunk_size)
    scores: dict[str, Callable[[_Ranking], NDArray]] = {f"recall_at_{k}": _recall(k) for k in ks}
    scores |= {"r_precision": _r_precision, "map_at_r": _map_at_r}
    found = search.mean(scores, depth=max(search.relevant.max(), *ks))
    if num_bins is not None:
        _check_num_bins(num_bins)
        bins = search.mean({"distance": _distance(num_bins)}, depth=1, of_all=True)["distance"]
        found["nearest_neighbour_bins"] = bins
        found["nearest_neighbour_degrees"] = bins * 360.0 / num_bins
    relevant = search.relevant[search.relevant > 0]
    return {**found, "chance": float(np.mean(relevant) / search.findable), "queries": len(relevant)}


@dataclass(frozen=True)
class _Ranking:
    """The nearest references of some queries, nearest first.

    Attributes:
        labels: Labels of the queries, of shape `(queries,)`.
        neighbours: Labels of the references, of shape `(queries, depth)`.
        relevant: How many references each query has of its class, of shape `(queries,)`.
    """

    labels: NDArray
    neighbours: NDArray
    relevant: NDArray

    @property
    def matches(self) -> NDArray[np.bool_]:
        return self.neighbours == self.labels[:, None]

    @property
    def within_r(self) -> NDArray[np.bool_]:
        return np.arange(self.neighbours.shape[1]) < self.relevant[:, None]


def _recall(k: int) -> Callable[[_Ranking], NDArray]:
    return lambda ranking: np.any(ranking.matches[:, :k], axis=1)


def _r_precision(ranking: _Ranking) -> NDArray:
    return (ranking.matches & ranking.within_r).sum(axis=1) / ranking.relevant


def _map_at_r(ranking: _Ranking) -> NDArray:
    precision = ranking.matches.cumsum(axis=1) / np.arange(1, ranking.matches.shape[1] + 1)
    return (precision * (ranking.matches & ranking.within_r)).sum(axis=1) / ranking.relevant


def _distance(num_bins: int) -> Callable[[_Ranking], NDArray]:
    def distance(ranking: _Ranking) -> NDArray:
        difference = np.mod(ranking.labels - ranking.neighbours[:, 0], num_bins)
        return np.minimum(difference, num_bins - difference)

    return distance


class _Search:
    """Labelled queries and references, and how to rank the ones for the others."""

    def __init__(self, embeddings: Any, labels: Any, references: Any, chunk_size: int) -> None:
        self.queries, self.labels = _labelled_samples(embeddings, labels, "queries")
        self.chunk_size = chunk_size
        if references is None:
            gallery, gallery_labels = self.queries, self.labels
        else:
            found, found_labels = references
            gallery, gallery_labels = _labelled_samples(found, found_labels, "references")
        if gallery.shape[1] != self.queries.shape[1]:
            raise ValueError(
                "Expected embeddings of one dimension. Received: queries of "
                f"{self.queries.shape[1]}, references of {gallery.shape[1]}"
            )
        order = np.random.default_rng(0).permutation(len(gallery))
        self.gallery, self.gallery_labels = gallery[order], gallery_labels[order]
        #: Where each query is among the references, to be left out.
        self.own = np.argsort(order) if references is None else None
        #: How many references a query may find.
        self.findable = len(gallery) - (references is None)
        classes, counts = np.unique(gallery_labels, return_counts=True)
        place = np.minimum(np.searchsorted(classes, self.labels), len(classes) - 1)
        #: How many references of its class each query may find.
        self.relevant = np.where(classes[place] == self.labels, counts[place], 0)
        self.relevant = self.relevant - (references is None)

    def mean(
        self,
        scores: dict[str, Callable[[_Ranking], NDArray]],
        depth: int,
        of_all: bool = False,
    ) -> dict[str, float]:
        """The means of scores, which look at the nearest, over queries."""
        keep = np.flatnonzero(self.relevant >= (0 if of_all else 1))
        if not len(keep) or not self.findable:
            raise ValueError(
                "Expected at least one query with something to find (another labelled sample, "
                "for most scores one of its class). "
                f"Received: {len(self.labels)} queries, {self.findable} references for each"
            )
        totals = dict.fromkeys(scores, 0.0)
        for start in range(0, len(keep), self.chunk_size):
            ranking = self._ranking(keep[start : start + self.chunk_size], depth)
            for name, score in scores.items():
                totals[name] += float(score(ranking).sum())
        return {name: total / len(keep) for name, total in totals.items()}

    def _ranking(self, rows: NDArray, depth: int) -> _Ranking:
        far = self.queries[rows] @ self.gallery.T
        np.negative(far, out=far)
        if self.own is not None:
            far[np.arange(len(rows)), self.own[rows]] = np.inf
        depth = min(depth, self.findable)
        nearest = np.argpartition(far, depth - 1, axis=1)[:, :depth]
        order = np.argsort(np.take_along_axis(far, nearest, axis=1), axis=1, kind="stable")
        nearest = np.take_along_axis(nearest, order, axis=1)
        return _Ranking(self.labels[rows], self.gallery_labels[nearest], self.relevant[rows])


def _labelled_samples(embeddings: Any, labels: Any, what: str) -> tuple[NDArray, NDArray]:
    """Checks embeddings and labels; returns those with a label, scaled to unit length."""
    embeddings, labels = np.asarray(embeddings), np.asarray(labels)
    if embeddings.ndim != 2 or embeddings.dtype.kind not in "fiu":
        raise ValueError(
            f"Expected embeddings of shape (samples, dim) of the {what}. "
            f"Received: {embeddings.dtype} of shape {embeddings.shape}"
        )
    samples = len(embeddings)
    if labels.shape not in ((samples,), (samples, 1)) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"Expected an integer label for each of the {samples} embeddings of the {what}. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    keep = is_labelled(labels)
    embeddings = embeddings[keep].astype("float32")
    if not np.isfinite(embeddings).all():
        raise ValueError(f"Expected finite embeddings of the {what}. Received: NaN or infinity")
    if not len(embeddings):
        raise ValueError(
            f"Expected at least one labelled sample of the {what}. Received: {samples}, "
            "all unlabelled (-1)"
        )
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    scaled = embeddings / np.maximum(length, np.finfo("float32").tiny)
    return scaled, labels.reshape(samples)[keep].astype("int64")


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"Expected {name} >= 1. Received: {name}={count}")


def _check_num_bins(num_bins: int) -> None:
    if num_bins < 2:
        raise ValueError(f"Expected num_bins >= 2. Received: num_bins={num_bins}")
