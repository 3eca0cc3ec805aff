"""How gradients of tasks disturb each other, and what of it is more than noise: the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit._statistics import CONFIDENCE, Interval

#: Below this share of common labelled samples, nothing is said of a pair of tasks.
LEAST_OVERLAP = 0.4
FEATURES, PARAMETERS = "features", "parameters"
#: The place of all of the backbone's weights together.
BACKBONE = "backbone"

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Interference:
    """One measurement: the gradients of the tasks at one place.

    Attributes:
        step: Training steps before it.
        space: `"features"` or `"parameters"`.
        place: Name of the feature map or layer; `"backbone"` for all weights of the backbone.
        tasks: Names of the tasks.
        cosines: Cosines between the tasks' gradients on all held samples, `(tasks, tasks)`. NaN
            where a task has no gradient.
        ratios: Length of the row's gradient over that of the column's, `(tasks, tasks)`.
        norms: Lengths of the gradients, `(tasks,)`.
        shares: Their shares of the sum, `(tasks,)`.
        self_cosines: Of each task, the cosine between its gradients on two halves of the samples,
            `(tasks,)`. NaN at feature maps, where each sample has coordinates of its own.
        cross_cosines: What claims rest on, `(tasks, tasks)`. For parameters, the cosine between
            one task's gradient on one half and the other's on the other half; at feature maps
            the cosines themselves.
        corrected: Cross-cosines over the root of the product of the self-cosines, which takes the
            noise out, `(tasks, tasks)`. NaN where a self-cosine is not clearly above 0.
        errors: Standard errors of the cross-cosines, `(tasks, tasks)`.
        self_errors: Standard errors of the self-cosines, `(tasks,)`.
        share_errors: Standard errors of the shares, `(tasks,)`.
        groups: The number of groups of samples that the errors come from.
    """

    step: int
    space: str
    place: str
    tasks: tuple[str, ...]
    cosines: Array
    ratios: Array
    norms: Array
    shares: Array
    self_cosines: Array
    cross_cosines: Array
    corrected: Array
    errors: Array
    self_errors: Array
    share_errors: Array
    groups: int

    def to_json(self) -> dict[str, Any]:
        """The row as JSON takes it."""
        found = asdict(self)
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in found.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Interference:
        """Reads what `to_json` made."""
        fixed: dict[str, Any] = {
            key: np.asarray(value, "float64") if isinstance(value, list) else value
            for key, value in content.items()
            if key != "tasks"
        }
        return cls(tasks=tuple(content["tasks"]), **fixed)


def row_of(
    step: int,
    space: str,
    place: str,
    tasks: Sequence[str],
    products: Array,
    samples: Array,
    factors: Array,
) -> Interference:
    """Makes a row of the inner products of gradients.

    Args:
        step: Training steps before the measurement.
        space: `"features"` or `"parameters"`.
        place: Name of the place.
        tasks: Names of the tasks.
        products: Inner products between the gradients of groups, each of the mean loss of its
            labelled samples: `(groups, tasks, groups, tasks)`; for features
            `(groups, tasks, tasks)`.
        samples: Labelled samples, `(groups, tasks)`.
        factors: What the losses are multiplied by, `(tasks,)`.
    """
    shares = samples / np.maximum(samples.sum(0), 1.0)  # of the groups in a task's samples
    scale = shares * factors
    of = _of_features if space == FEATURES else _of_parameters
    if space == FEATURES:
        products = products * scale[:, :, None] * scale[:, None, :]
    else:
        products = products * scale[:, :, None, None] * scale[None, None]
    whole = of(products, shares)
    groups = len(samples)
    left_out = [of(*_without(products, shares, group)) for group in range(groups)]

    def error(name: str) -> Array:
        values = np.array([one[name] for one in left_out])
        return np.sqrt((groups - 1) / groups * ((values - values.mean(0)) ** 2).sum(0))

    self_cosines, self_errors = whole["self"], error("self")
    with np.errstate(invalid="ignore"):
        clear = self_cosines - _quantile(groups - 1, 1) * self_errors > 0
        noise_free = np.sqrt(np.where(clear, self_cosines, np.nan))
        corrected = np.clip(whole["cross"] / np.outer(noise_free, noise_free), -1, 1)
    norms = whole["norms"]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = norms[:, None] / norms[None]
    return Interference(
        step=int(step),
        space=space,
        place=place,
        tasks=tuple(tasks),
        cosines=whole["cosines"],
        ratios=ratios,
        norms=norms,
        shares=whole["shares"],
        self_cosines=self_cosines,
        cross_cosines=whole["cross"],
        corrected=corrected,
        errors=error("cross"),
        self_errors=self_errors,
        share_errors=error("shares"),
        groups=groups,
    )


def _of_features(products: Array, shares: Array) -> dict[str, Array]:
    """What is measured at a map, where the gradients of different samples are orthogonal."""
    part = np.sqrt(np.maximum(shares.sum(0), 1e-12))
    found = _of_whole(products.sum(0) / np.outer(part, part))
    return {**found, "self": np.full(len(part), np.nan), "cross": found["cosines"]}


def _of_parameters(products: Array, shares: Array) -> dict[str, Array]:
    """What is measured at weights.

    Products of the gradients of different groups are free of the noise that two tasks have in
    common on the same samples. Averages over all ways to halve the groups follow from them.
    """
    part = np.maximum(shares.sum(0), 1e-12)
    parts = np.outer(part, part)
    whole = products.sum((0, 2))
    same = np.einsum("gagb->ab", products)
    apart = parts - shares.T @ shares
    with np.errstate(divide="ignore", invalid="ignore"):
        unbiased = np.where(apart > 1e-9, (whole - same) / apart, np.nan)
        whole = whole / parts
        half = np.diag(2 * whole - unbiased)  # squared lengths of the gradients of halves
        lengths = np.sqrt(np.where(half > 0, half, np.nan))
        cross = unbiased / np.outer(lengths, lengths)
    return {**_of_whole(whole), "self": np.diag(cross).copy(), "cross": cross}


def _of_whole(gramian: Array) -> dict[str, Array]:
    norms = norms_of(gramian)
    total = norms.sum()
    shares = norms / total if total > 0 else np.full_like(norms, np.nan)
    return {"cosines": cosines_of(gramian), "norms": norms, "shares": shares}


def norms_of(gramian: Array) -> Array:
    """The lengths of vectors, from their inner products of shape `(vectors, vectors)`."""
    return np.sqrt(np.maximum(np.diag(gramian), 0.0))


def cosines_of(gramian: Array) -> Array:
    """The cosines between vectors, `(vectors, vectors)`; NaN where one has no length."""
    norms = norms_of(gramian)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(gramian / norms[:, None] / norms[None, :], -1.0, 1.0)


def _without(products: Array, shares: Array, group: int) -> tuple[Array, Array]:
    products = np.delete(products, group, 0)
    if products.ndim == 4:
        products = np.delete(products, group, 2)
    return products, np.delete(shares, group, 0)


# === Over the history ===


@dataclass(frozen=True)
class Estimate:
    """A mean over measurements, and the interval that it comes with."""

    mean: float
    interval: Interval


def over_time(values: Array, errors: Array, groups: int, comparisons: int) -> Estimate:
    """The mean of measurements on the same samples, with a t-interval.

    All measurements have the same samples, so their sampling errors do not average out. To that
    comes how much the values vary from one measurement to the next (von Neumann's estimate), over
    their number; a slow change is no noise. Degrees of freedom are those of Satterthwaite, and
    several comparisons are corrected for by Bonferroni's method.
    """
    known = np.isfinite(values) & np.isfinite(errors)
    values, errors = values[known], errors[known]
    number = len(values)
    if not number:
        return Estimate(np.nan, (np.nan, np.nan))
    mean, sampling = float(values.mean()), float((errors**2).mean())
    over_steps = 0.0
    if number > 1:
        over_steps = float((np.diff(values) ** 2).mean()) / 2 / number
    variance = sampling + over_steps
    if variance == 0:
        return Estimate(mean, (mean, mean))
    degrees = variance**2 / (sampling**2 / (groups - 1) + over_steps**2 / max(number - 1, 1))
    half = _quantile(degrees, comparisons) * np.sqrt(variance)
    return Estimate(mean, (mean - float(half), mean + float(half)))


def _quantile(degrees: float, comparisons: int) -> float:
    from scipy.stats import t

    return float(t.ppf(1 - (1 - CONFIDENCE) / (2 * comparisons), degrees))


@dataclass(frozen=True)
class Pair:
    """What the history says of two tasks at a place.

    Attributes:
        space: `"features"` or `"parameters"`.
        place: Name of the place.
        first: One task.
        second: The other one.
        cosine: The mean of the cosines.
        low: Lower end of the interval of the mean cross-cosine, by which is claimed.
        high: Upper end.
        corrected: The mean corrected cosine; NaN if there is none.
        ratio: Length of the first one's gradient over the second's, the geometric mean.
        overlap: Share of common samples among those that have a label of one or the other.
        verdict: `"conflict"`, `"agreement"`, `"unclear"` where the interval contains 0, or
            `"no claim"` where the tasks share too few labelled samples.
    """

    space: str
    place: str
    first: str
    second: str
    cosine: float
    low: float
    high: float
    corrected: float
    ratio: float
    overlap: float
    verdict: str


@dataclass(frozen=True)
class Place:
    """What the history says of a place.

    Attributes:
        space: `"features"` or `"parameters"`.
        name: Name of the place.
        tasks: The tasks with a gradient there.
        pairs: What it says of pairs of them.
        shares: The share of each task in the summed length of the gradients.
        rows: The measurements.
    """

    space: str
    name: str
    tasks: list[str]
    pairs: list[Pair]
    shares: dict[str, Estimate]
    rows: list[Interference]


def places_of(history: Sequence[Interference], overlaps: Array) -> list[Place]:
    """What the history says, place by place.

    The measurement before the first step is left out if there are others: heads that have
    learned nothing send gradients in random directions.

    Args:
        history: The rows.
        overlaps: Jaccard indices of the labelled samples, `(tasks, tasks)`.
    """
    rows: dict[tuple[str, str], list[Interference]] = {}
    for row in history:
        rows.setdefault((row.space, row.place), []).append(row)
    for key, own in rows.items():
        rows[key] = [row for row in own if row.step > 0] or own
    reached = {key: _reached(own) for key, own in rows.items()}
    looks: dict[tuple[str, bool], int] = {}
    for (space, place), tasks in reached.items():
        family = space, place == BACKBONE
        looks[family] = looks.get(family, 0) + len(tasks) * (len(tasks) - 1) // 2
    return [
        _place(own, reached[key], overlaps, max(1, looks[key[0], key[1] == BACKBONE]))
        for key, own in rows.items()
    ]


def _reached(rows: Sequence[Interference]) -> list[int]:
    norms = np.nan_to_num(np.array([row.norms for row in rows]))
    return [int(task) for task in np.flatnonzero(norms.max(0) > 0)]


def _place(rows: list[Interference], tasks: list[int], overlaps: Array, comparisons: int) -> Place:
    first = rows[0]
    names, groups = first.tasks, first.groups

    def stacked(field: str) -> Array:
        return np.array([getattr(row, field) for row in rows])

    shares = {
        names[i]: over_time(
            stacked("shares")[:, i], stacked("share_errors")[:, i], groups, len(tasks)
        )
        for i in tasks
    }
    pairs = []
    for i, j in combinations(tasks, 2):
        cross = stacked("cross_cosines")[:, i, j]
        found = over_time(cross, stacked("errors")[:, i, j], groups, comparisons)
        low, high = (float(np.clip(end, -1, 1)) for end in found.interval)
        verdict = "conflict" if high < 0 else "agreement" if low > 0 else "unclear"
        pairs.append(
            Pair(
                space=first.space,
                place=first.place,
                first=names[i],
                second=names[j],
                cosine=_mean(stacked("cosines")[:, i, j]),
                low=low,
                high=high,
                corrected=_mean(stacked("corrected")[:, i, j]),
                ratio=float(np.exp(_mean(_logarithms(stacked("ratios")[:, i, j])))),
                overlap=float(overlaps[i, j]),
                verdict=verdict if overlaps[i, j] >= LEAST_OVERLAP else "no claim",
            )
        )
    return Place(first.space, first.place, [names[i] for i in tasks], pairs, shares, rows)


def _logarithms(ratios: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(ratios)


def _mean(values: Array) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def overlaps_of(labelled: NDArray[np.bool_]) -> Array:
    """Jaccard indices of the labelled samples of tasks, `(tasks, tasks)`."""
    counted = labelled.astype("float64")
    both = counted.T @ counted
    count = counted.sum(0)
    either = count[:, None] + count[None] - both
    return np.where(either > 0, both / np.maximum(either, 1.0), 0.0)
