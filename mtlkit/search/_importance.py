"""Which arguments mattered: how much of the scores' variance hangs on each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.metrics._text_table import text_table

#: Fewer different points than these say nothing about any argument.
MIN_POINTS = 20
_TREES = 20
_SHUFFLES = 5


@dataclass(frozen=True)
class Importance:
    """How much of the variance of the scores hangs on each argument.

    Attributes:
        rows: One dict an argument, the most important one first: `"argument"`; `"share"`, of
            the variance of all scores; `"low"` and `"high"`, its 95 % interval; and
            `"trials"`, how many trials have the argument.
        trials: Number of trials with a score.
        points: Number of different points among them.
        explained: The share of the variance that a forest of trees predicts for trials that it
            has not seen. Where that is about 0, the trials do not show what mattered.

    Example:
        ```python
        from mtlkit.search import Importance

        row = {"argument": "hidden_units", "share": 0.6, "low": 0.4, "high": 0.8, "trials": 12}
        print(Importance([row], trials=12, points=12, explained=0.5))
        ```
    """

    rows: list[dict[str, Any]]
    trials: int
    points: int
    explained: float

    @property
    def sentence(self) -> str:
        """What the shares rest on, in words."""
        rests = f"{self.trials} scores of {self.points} points"
        if self.explained <= 0:
            return f"The trials do not show what mattered: trees cannot predict their {rests}."
        return (
            f"Trees predict {100 * self.explained:.0f} % of the variance of scores that they have "
            f"not seen, out of {rests}."
        )

    def __str__(self) -> str:
        cells = [
            [
                row["argument"],
                f"{row['share']:.2f}",
                f"[{row['low']:.2f}, {row['high']:.2f}]",
                str(row["trials"]),
            ]
            for row in self.rows
        ]
        table = text_table(["argument", "share of variance", "95 % interval", "trials"], cells)
        return f"{table}\n{self.sentence}"


def importance(
    points: Sequence[Mapping[str, Any]],
    scores: Sequence[float],
    refits: int = 50,
    seed: int = 0,
    groups: Sequence[Any] | None = None,
) -> Importance:
    """Estimates which arguments the scores depend on, with intervals.

    A forest of trees predicts the scores from the arguments. The share of an argument is how
    much worse it predicts trials that it has not seen when the argument's values are shuffled
    among them, over twice the variance of the scores: for arguments that vary independently of
    each other, this is the total effect of a functional analysis of variance, main effect and
    interactions together. So shares may add up to more than 1, where arguments interact, or to
    less, by what is left to chance. That is done for many resamples of the points, each with
    trees of its own, and the interval spans 95 % of them.

    From few trials trees learn little: they miss weak effects, and shares come out too low. An
    interval above zero is evidence that an argument matters; one that includes zero is none
    that it does not.

    An argument that exists only under a condition is shuffled among the trials that have it.
    Elsewhere trees see values drawn from the other trials, which show nothing: that it is not
    there counts for the argument that decides so. Arguments that had one value throughout are
    left out.
    Reference:
        [Breiman, Random Forests, 2001](https://doi.org/10.1023/A:1010933404324);
        [Hutter et al., An Efficient Approach for Assessing Hyperparameter Importance,
        2014](https://proceedings.mlr.press/v32/hutter14.html)
    """
    y = np.asarray(scores, "float64")
    own = [json.dumps(one, sort_keys=True) for one in (points if groups is None else groups)]
    _, numbers = np.unique(own, return_inverse=True)
    count = len(set(own))
    if count < MIN_POINTS or not y.var():
        raise ValueError(
            f"Expected at least {MIN_POINTS} different points with a score, and scores that "
            f"differ. Received: {count} points, {len(set(scores))} different scores"
        )
    arguments = _varied(points)
    rng = np.random.default_rng(seed)
    fits = [_refit(arguments, y, numbers, rng) for _ in range(refits)]
    drops = np.array([drop for drop, _ in fits]) / (2 * y.var())
    low, high = np.percentile(drops, [2.5, 97.5], axis=0)
    rows: list[dict[str, Any]] = [
        {
            "argument": argument.name,
            "share": float(drops[:, number].mean()),
            "low": float(low[number]),
            "high": float(high[number]),
            "trials": int(argument.present.sum()),
        }
        for number, argument in enumerate(arguments)
    ]
    rows.sort(key=lambda row: (-row["share"], row["argument"]))
    explained = 1 - float(np.mean([error for _, error in fits]) / y.var())
    return Importance(rows, len(y), count, explained)


class _Argument:
    """An argument as columns of numbers: one of its own, or one for each of its values."""

    def __init__(self, name: str, points: Sequence[Mapping[str, Any]]) -> None:
        self.name = name
        self.present = np.array([name in point for point in points])
        values = [point[name] for point in points if name in point]
        if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
            self._known = np.array(values, "float64")[:, None]
        else:
            _, codes = np.unique([json.dumps(one) for one in values], return_inverse=True)
            self._known = np.eye(codes.max() + 1)[codes]

    @property
    def varies(self) -> bool:
        return len(np.unique(self._known, axis=0)) > 1

    def columns(self, rng: np.random.Generator) -> NDArray:
        """The columns, with drawn values where a trial does not have the argument."""
        filled = self._known[rng.integers(len(self._known), size=len(self.present))]
        filled[self.present] = self._known
        return filled


def _varied(points: Sequence[Mapping[str, Any]]) -> list[_Argument]:
    names = list(dict.fromkeys(name for point in points for name in point))
    return [one for one in (_Argument(name, points) for name in names) if one.varies]


def _refit(
    arguments: Sequence[_Argument], y: NDArray, groups: NDArray, rng: np.random.Generator
) -> tuple[list[float], float]:
    """One resample: what shuffling each argument adds to the squared error, and that error."""
    from sklearn.ensemble import ExtraTreesRegressor

    # Trials of the same point stay together: else those that trees have seen would be among
    # those that they have not.
    count = groups.max() + 1
    drawn = rng.integers(count, size=count)
    seen = np.concatenate([np.flatnonzero(groups == group) for group in drawn])
    unseen = np.flatnonzero(~np.isin(groups, drawn))
    columns = [argument.columns(rng) for argument in arguments]
    forest = ExtraTreesRegressor(_TREES, random_state=int(rng.integers(2**31)))
    forest.fit(np.hstack(columns)[seen], y[seen])
    tables = [[column[unseen] for column in columns]]
    for number, argument in enumerate(arguments):
        having = np.flatnonzero(argument.present[unseen])
        for _ in range(_SHUFFLES):
            shuffled = [column.copy() for column in tables[0]]
            shuffled[number][having] = shuffled[number][rng.permutation(having)]
            tables.append(shuffled)
    predicted = forest.predict(np.vstack([np.hstack(table) for table in tables]))
    errors = ((predicted.reshape(len(tables), -1) - y[unseen]) ** 2).mean(axis=1)
    by_argument = errors[1:].reshape(len(arguments), _SHUFFLES).mean(axis=1)
    return list(by_argument - errors[0]), float(errors[0])
