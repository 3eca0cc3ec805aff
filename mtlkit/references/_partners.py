"""Which class each class is taken for, and whether labels or images are to blame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from mtlkit._statistics import count_table, share_interval

#: Share of the samples, the likeliest to be of one of two classes, that is looked at.
_CONFIDENT = 0.5
#: Share of the samples, those with the widest margin, that count as clear.
_CLEAREST = 0.25
#: Steps of the ladder, from the clearest samples to the least clear ones.
_LADDER = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)


class Steps(TypedDict):
    """How often a label is its own class or the partner's, from clear samples to unclear ones."""

    share: list[float]
    self: list[float]
    partner: list[float]


@dataclass(frozen=True)
class Ladder:
    """Left-out samples of two classes, by how clearly they are of the first one.

    Attributes:
        margin: Score of the predicted class minus that of its partner.
        own: Whether the label is the predicted class.
        partner: Whether the label is its partner.
    """

    margin: NDArray[np.floating]
    own: NDArray[np.bool_]
    partner: NDArray[np.bool_]

    def steps(self) -> Steps:
        """The rates of both labels along the ladder, the clearest samples first."""
        order = np.argsort(-self.margin)
        ends = np.round(np.array(_LADDER) * len(order)).astype(int)
        parts = [order[a:b] for a, b in pairwise(ends) if b > a]
        return {
            "share": [float(end) for end in _LADDER[1:]],
            "self": [float(self.own[part].mean()) for part in parts],
            "partner": [float(self.partner[part].mean()) for part in parts],
        }

    def clear(self) -> tuple[float, float, float]:
        """How often labels of the clearest samples are the partner's: the rate and its interval."""
        clearest = self._clearest()
        partner, either = int(self.partner[clearest].sum()), (self.own | self.partner)[clearest]
        if not either.any():
            return 0.0, 0.0, 1.0
        return partner / int(either.sum()), *share_interval(partner, int(either.sum()))

    def by_chance(self, num_classes: int) -> float:
        """The share of partners' labels, out of both, that comes of labels wrong by chance.

        Those fall on all other classes alike, so the classes that are neither show how many.
        """
        clearest = self._clearest()
        own, partner = self.own[clearest].mean(), self.partner[clearest].mean()
        each = (1 - own - partner) / max(num_classes - 2, 1)
        return float(each / max(own + each, 1e-9))

    def _clearest(self) -> NDArray[np.integer]:
        return np.argsort(-self.margin)[: max(1, round(_CLEAREST * len(self.margin)))]

    @cached_property
    def floor(self) -> Floor:
        """How often the partner is the label even where the image is clear."""
        either = self.own | self.partner
        return fit_floor(self.margin[either], self.partner[either])


@dataclass(frozen=True)
class Floor:
    """The rate of flipped labels, as distinct from samples that are hard to tell apart.

    Attributes:
        rate: The rate.
        low: Lower end of its 95 % interval.
        high: Upper end.
        slope: How much better clear samples are told apart than unclear ones; 0 for twins.
    """

    rate: float
    low: float
    high: float
    slope: float


def fit_floor(margin: NDArray[np.floating], partner: NDArray[np.bool_]) -> Floor:
    """Fits a logistic curve with a floor to how often the label is the partner.

    `P(partner | m) = rate + (1 - 2 rate) sigmoid(-slope m)`: images that are hard to tell apart
    come with small margins `m`, flipped labels with any. At no margin either label is as
    likely. (Psychophysics calls such a floor the lapse rate.) Maximum likelihood, with the
    interval of the profile likelihood. Where images do not tell the two classes apart at all,
    the interval of the rate is wide: twins look like labels that are flipped half of the time.
    Reference:
        [Wichmann and Hill, The psychometric function, 2001](https://doi.org/10.3758/BF03194544)
    """
    from scipy.stats import chi2

    if len(margin) < 20 or not partner.any():
        return Floor(0.0, 0.0, min(1.0, 3 / max(len(margin), 1)), np.inf)
    scaled = margin / (margin.std() + 1e-12)
    rates = np.concatenate([np.linspace(0, 0.1, 21), np.linspace(0.11, 0.5, 40)])
    fits = [_fit_slope(scaled, partner, rate) for rate in rates]
    losses = np.array([loss for loss, _ in fits])
    best = int(losses.argmin())
    inside = rates[losses <= losses[best] + chi2.ppf(0.95, 1) / 2]
    return Floor(float(rates[best]), float(inside.min()), float(inside.max()), fits[best][1])


#: The grid of slopes and of shares at no margin that `fit_free_floor` goes through, and how many
#: margins are taken together.
_SLOPES, _TOPS, _BINS = np.exp(np.linspace(-4, 4, 33)), np.linspace(0.02, 0.98, 33), 80


def fit_free_floor(margin: NDArray[np.floating], wrong: NDArray[np.bool_]) -> Floor:
    """Fits a falling curve with a floor to how often labels are wrong, wherever it begins.

    `P(wrong | m) = rate + (top - rate) 2 sigmoid(-slope m)`, where `top`, at no margin, is fitted
    too: among three classes the third is rarely the label, even where the first two are tied. The
    rate has the interval of its profile likelihood, on a grid. A reference whose margins say little
    about its errors leaves it wide.

    Args:
        margin: Margins of left-out samples, of shape `(samples,)`.
        wrong: Which of them count as wrong.
    """
    from scipy.special import expit
    from scipy.stats import chi2

    if len(margin) < 20 or not wrong.any():
        return Floor(0.0, 0.0, min(1.0, 3 / max(len(margin), 1)), np.inf)
    parts = np.array_split(np.argsort(margin), min(_BINS, len(margin) // 5))
    scaled = np.array([margin[part].mean() for part in parts]) / (margin.std() + 1e-12)
    hits = np.array([wrong[part].sum() for part in parts])
    misses = np.array([len(part) for part in parts]) - hits
    rates = np.concatenate([np.linspace(0, 0.1, 21), np.linspace(0.11, 0.6, 50)])
    fall = 2 * expit(-np.outer(_SLOPES, scaled))
    losses = np.empty(len(rates))
    for number, rate in enumerate(rates):
        above = np.maximum(_TOPS, rate) - rate
        p = np.clip(rate + above[:, None, None] * fall, 1e-9, 1 - 1e-9)
        losses[number] = -(np.log(p) @ hits + np.log1p(-p) @ misses).max()
    best = int(losses.argmin())
    inside = rates[losses <= losses[best] + chi2.ppf(0.95, 1) / 2]
    return Floor(float(rates[best]), float(inside.min()), float(inside.max()), np.nan)


def _fit_slope(margin: NDArray, partner: NDArray, rate: float) -> tuple[float, float]:
    """The least negative log-likelihood for a given floor, and its slope."""
    from scipy.optimize import minimize_scalar
    from scipy.special import expit

    def loss(log_slope: float) -> float:
        p = np.clip(rate + (1 - 2 * rate) * expit(-np.exp(log_slope) * margin), 1e-9, 1 - 1e-9)
        return -float(np.log(np.where(partner, p, 1 - p)).sum())

    found: Any = minimize_scalar(loss, bounds=(-7.0, 5.0), method="bounded")
    return float(found.fun), float(np.exp(found.x))


def ladder_of(
    scores: NDArray[np.floating], y: NDArray[np.integer], partners: NDArray[np.integer]
) -> Ladder:
    """Returns the ladder of the samples that are surely of a class or its partner.

    Args:
        scores: Scores of left-out samples, of shape `(samples, classes)`.
        y: Their labels.
        partners: The partner of the predicted class of each sample.
    """
    rows, predicted = np.arange(len(y)), scores.argmax(axis=1)
    first, second = scores[rows, predicted], scores[rows, partners]
    sure = first + second >= np.quantile(first + second, 1 - _CONFIDENT)
    return Ladder((first - second)[sure], (y == predicted)[sure], (y == partners)[sure])


def partners_by_class(scores: NDArray[np.floating], y: NDArray[np.integer]) -> NDArray[np.int64]:
    """Finds what each class is taken for, on other samples than it is said of.

    Args:
        scores: Scores of left-out samples, of shape `(samples, classes)`.
        y: Their labels.
    """
    predicted, clear = scores.argmax(axis=1), is_clear(scores)
    half = np.arange(len(y)) % 2
    partners = np.empty(len(y), "int64")
    for part in (0, 1):
        wrong = (half == part) & clear & (predicted != y)
        table = count_table(predicted[wrong], y[wrong], scores.shape[1])
        np.fill_diagonal(table, -1)
        partners[half != part] = table.argmax(axis=1)[predicted[half != part]]
    return partners


def common_distances(
    scores: NDArray[np.floating], y: NDArray[np.integer], most: int = 4
) -> list[int]:
    """Finds distances around the circle of classes at which labels are often wrong.

    Args:
        scores: Scores of left-out samples, of shape `(samples, classes)`.
        y: Their labels.
        most: How many, at most.
    """
    num_classes = scores.shape[1]
    predicted = scores.argmax(axis=1)
    distance = (y - predicted) % num_classes
    unlikely = ranks(scores, y) >= num_classes // 2
    counts = np.zeros(num_classes)
    for wrong in (is_clear(scores) & (distance != 0), unlikely):
        if wrong.sum() >= 20:
            share = np.bincount(distance[wrong], minlength=num_classes) / wrong.sum()
            counts = np.maximum(counts, share)
    counts[0] = 0
    often = np.flatnonzero(counts > 2 / (num_classes - 1))
    return [int(d) for d in often[np.argsort(-counts[often])][:most]]


def is_clear(scores: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which samples have the widest margins between their two best scores."""
    ordered = np.sort(scores, axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    return margin >= np.quantile(margin, 1 - _CLEAREST)


def ranks(scores: NDArray[np.floating], y: NDArray[np.integer]) -> NDArray[np.int64]:
    """The rank of the given label among all scores of a sample; 0 is the best.

    Among equal scores, such as those of classes that no neighbour has, it is drawn by lot.
    """
    own = scores[np.arange(len(y)), y][:, None]
    # Of a seed of its own: labels may have been drawn by one as simple as 0.
    lot = np.random.default_rng((len(y), 7919)).random(len(y))
    better, equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    return better + (lot * equal).astype("int64")


@dataclass(frozen=True)
class Pairing:
    """One way in which classes have partners, and its ladder.

    Attributes:
        distance: The distance around the circle of classes, if it is the same for all.
        partners: The partner of the predicted class of each sample.
        ladder: The samples that are surely of one of the two.
    """

    distance: int | None
    partners: NDArray[np.int64]
    ladder: Ladder


def pairings(scores: NDArray[np.floating], y: NDArray[np.integer]) -> list[Pairing]:
    """All pairings of the classes that are worth a look.

    Args:
        scores: Scores of left-out samples, of shape `(samples, classes)`.
        y: Their labels.
    """
    num_classes, predicted = scores.shape[1], scores.argmax(axis=1)
    distances: list[int] = []
    if num_classes >= 6:  # with fewer, every distance is frequent
        distances += common_distances(scores, y)
    if any(d in (1, num_classes - 1) for d in distances):  # both neighbours, to compare them
        distances += [d for d in (1, num_classes - 1) if d not in distances]
    found = []
    for distance in distances:
        partners = (predicted + distance) % num_classes
        found.append(Pairing(distance, partners, ladder_of(scores, y, partners)))
    return found or [pairing_by_class(scores, y)]


def pairing_by_class(scores: NDArray[np.floating], y: NDArray[np.integer]) -> Pairing:
    """The pairing of each class with the one that it is taken for, at any distance."""
    partners = partners_by_class(scores, y)
    return Pairing(None, partners, ladder_of(scores, y, partners))
