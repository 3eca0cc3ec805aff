"""What a comparison of balancers found."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mtlkit._statistics import CONFIDENCE, holm, mean_interval
from mtlkit.balancing.comparison._scores import (
    best_weights,
    delta_m,
    listed,
    p_different,
    skill_gain,
)
from mtlkit.metrics._text_table import text_table
from mtlkit.metrics.skill import Skill

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Names of the rows that every comparison has, and of tuned weights.
SINGLE, EQUAL, TUNED = "single-task", "equal", "tuned"
BETTER, WORSE, SAME = "better", "worse", "not different"


@dataclass(frozen=True)
class Comparison:
    """What `mtlkit.balancing.compare` found: a table of methods, and what it says in words.

    Attributes:
        metrics: The metric and direction of each task, `{task: ("accuracy", "max")}`.
        methods: Names of the methods that were asked for.
        seeds: The seeds that were asked for.
        runs: One dict a training: `"method"`, `"seed"`, `"tasks"`, `"seconds"`, and the scores by
            task on the validation and the test data, `"val"` and `"test"`; or `"message"`, why it
            failed.
        tries: One dict for each try of tuned weights: `"how"`, `"weights"`, its scores `"val"`, and
            `"delta_m"`, both on the validation data.
        step_ratios: The time of a training step over that with equal weights, by method.
        baselines: The `mtlkit.metrics.skill.Skill` of the best constant on the test data, by task;
            `None` where it is not known.
        settings: What was asked for, and the versions.
        planned: Number of trainings that were asked for.
        finished: Number of those that are finished.

    Example:
        ```python
        from mtlkit.balancing import Comparison

        scores = {"single-task": [0.8, 0.7], "equal": [0.6, 0.5], "upgrad": [0.7, 0.61]}
        runs = [
            {"method": method, "seed": seed, "tasks": ["kind"], "test": {"kind": values[seed]}}
            for method, values in scores.items()
            for seed in (0, 1)
        ]
        found = Comparison({"kind": ("accuracy", "max")}, ["equal", "upgrad"], [0, 1], runs)
        assert round(found.rows[-1]["delta_m"], 2) == -12.68
        print(found.sentence)
        ```
    """

    metrics: Mapping[str, tuple[str, str]]
    methods: Sequence[str]
    seeds: Sequence[int]
    runs: Sequence[Mapping[str, Any]] = field(repr=False)
    tries: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    step_ratios: Mapping[str, float] = field(default_factory=dict, repr=False)
    baselines: Mapping[str, Skill | None] = field(default_factory=dict, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    planned: int = 0
    finished: int = 0

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """One dict for single-task models, equal weights and each method with a finished seed.

        - `"scores"`: the mean test score by task; `"seeds"`: the seeds that are finished.
        - `"delta_m"`, `"delta_m_interval"`: in percent, with its 95 % t-interval over seeds.
        - `"skill_gain"`: the mean gain in skill over single-task models, in percent.
        - `"difference"`, `"difference_interval"`: that of `delta_m` to equal weights, paired by
          seed; `"p"`: its p-value, corrected for the number of methods by Holm's method;
          `"verdict"`: `"better"`, `"worse"` or `"not different"`.
        - `"over_tuned"`, `"over_tuned_interval"`, `"over_tuned_p"`, `"over_tuned_verdict"`: the
          same beside tuned weights.
        - `"step_ratio"`: the time of a training step over that with equal weights.
        - `"trainings"`: how many trainings it took, those of tuning among them; `"seconds"`: the
          mean time of one.
        - `"message"`: why a training failed, else empty.

        A value that is not known is `None`.
        """
        found = [self._row(method) for method in [SINGLE, *self.methods]]
        rows = [row for row in found if row["seeds"] or row["message"]]
        self._compare(rows, EQUAL, "difference", "p", "verdict")
        self._compare(rows, TUNED, "over_tuned", "over_tuned_p", "over_tuned_verdict")
        return rows

    @property
    def tuned_weights(self) -> dict[str, float]:
        """The weights by task that were best on the validation data; empty without tuning."""
        return best_weights(self.tries) if self.tries else {}

    @property
    def sentence(self) -> str:
        """What was found, in words: which methods were better than equal and tuned weights."""
        rows = {row["method"]: row for row in self.rows if row["seeds"]}
        said = []
        if self.finished < self.planned:
            said.append(f"A part: {self.finished} of {self.planned} trainings are finished.")
        compared = [row for row in rows.values() if row["verdict"]]
        if not compared:
            said.append("There is no method yet to compare with equal weights.")
        elif max(len(row["seeds"]) for row in compared) < 2:
            said.append("One seed cannot tell a difference from chance: give more seeds.")
        else:
            said += _words(compared, "difference", "verdict", "equal weights")
            others = [row for row in compared if row["over_tuned_verdict"]]
            if others:
                said += _words(others, "over_tuned", "over_tuned_verdict", "tuned weights")
            said += self._power(compared)
        if self.tries:
            weights = listed([f"{task} {value:.3g}" for task, value in self.tuned_weights.items()])
            count = f"{len(self.tries)} {'try' if len(self.tries) == 1 else 'tries'}"
            said.append(f"Tuned weights, the best of {count} on the validation data: {weights}.")
        said += [f"{r['method']} failed: {r['message']}." for r in self.rows if r["message"]]
        return " ".join(said)

    def table(self) -> str:
        """Returns the rows as an aligned table, with the sentence below."""
        header, *lines = self._cells()
        return f"{text_table(header, lines)}\n\n{self.sentence}"

    def to_markdown(self) -> str:
        """Returns the rows as a Markdown table."""
        header, *lines = self._cells()
        rule = ["---", *["---:"] * (len(header) - 1)]
        return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *lines])

    def to_json(self) -> str:
        """Returns all that was found as JSON, which `from_json` reads."""
        found = {
            "sentence": self.sentence,
            "rows": self.rows,
            "metrics": self.metrics,
            "methods": self.methods,
            "seeds": self.seeds,
            "runs": self.runs,
            "tries": self.tries,
            "step_ratios": self.step_ratios,
            "baselines": {t: None if s is None else asdict(s) for t, s in self.baselines.items()},
            "settings": self.settings,
            "planned": self.planned,
            "finished": self.finished,
        }
        return json.dumps(_finite(found), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Comparison:
        """Makes a comparison of what `to_json` returned.

        Args:
            text: The JSON.

        Returns:
            The comparison, with the same rows.
        """
        kept = json.loads(text)
        kept["metrics"] = {task: tuple(metric) for task, metric in kept["metrics"].items()}
        kept["baselines"] = {t: s and Skill(**s) for t, s in kept["baselines"].items()}
        del kept["rows"], kept["sentence"]
        return cls(**kept)

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Axes | None = None) -> Axes:
        """Draws `delta_m` of each method with its interval over seeds.

        The line at 0 is that of single-task models. A method is blue if it was better than equal
        weights beyond chance, orange if it was worse, and grey otherwise. Dots are seeds.

        Args:
            path: A file to save the figure as. `None`: it is not saved.
            ax: Where to draw. `None`: on a new figure.

        Returns:
            The axes that were drawn on.

        Raises:
            ValueError: If no method has been finished.
        """
        from mtlkit.balancing.comparison._plot import plot_deltas

        return plot_deltas(self, path, ax)

    def __str__(self) -> str:
        return self.table()

    def deltas(self, method: str) -> dict[int, float]:
        """Returns `delta_m` of a method by seed, of the seeds that are finished.

        Args:
            method: Name of the method.
        """
        directions = {task: direction for task, (_, direction) in self.metrics.items()}
        return {
            seed: delta_m(scores, self._scores(SINGLE)[seed], directions)
            for seed, scores in self._scores(method).items()
        }

    # === Private ===

    def _scores(self, method: str) -> dict[int, dict[str, float]]:
        """Test scores by seed and task, where all tasks and the single-task models have one."""
        found: dict[str, dict[int, dict[str, float]]] = {method: {}, SINGLE: {}}
        for run in self.runs:
            if run["method"] in found and "test" in run:
                scores = {t: math.nan if v is None else v for t, v in run["test"].items()}
                found[run["method"]].setdefault(run["seed"], {}).update(scores)
        whole = [seed for seed, one in found[SINGLE].items() if set(one) == set(self.metrics)]
        return {seed: scores for seed, scores in found[method].items() if seed in whole}

    def _row(self, method: str) -> dict[str, Any]:
        scores, single = self._scores(method), self._scores(SINGLE)
        own = [run for run in self.runs if run["method"] == method]
        messages = [run["message"] for run in own if "message" in run]
        seconds = [run["seconds"] for run in own if "seconds" in run]
        gains = [skill_gain(scores[seed], single[seed], self.baselines) for seed in scores]
        mean, interval = _mean([] if method == SINGLE else list(self.deltas(method).values()))
        return {
            "method": method,
            "seeds": list(scores),
            "scores": {t: _mean([one[t] for one in scores.values()])[0] for t in self.metrics},
            "delta_m": mean,
            "delta_m_interval": interval,
            "skill_gain": None if method == SINGLE else _percent(_mean(gains)[0]),
            **dict.fromkeys(("difference", "difference_interval", "p", "verdict")),
            **dict.fromkeys(("over_tuned", "over_tuned_interval")),
            **dict.fromkeys(("over_tuned_p", "over_tuned_verdict")),
            "step_ratio": 1.0 if method == EQUAL else self.step_ratios.get(method),
            "trainings": len(seconds) + (len(self.tries) if method == TUNED else 0),
            "seconds": _mean(seconds)[0],
            "message": messages[0] if messages else "",
        }

    def _compare(
        self, rows: list[dict[str, Any]], reference: str, key: str, p: str, verdict: str
    ) -> None:
        """Fills in how each method differs from another one."""
        base = self.deltas(reference)
        compared = [row for row in rows if row["method"] not in (SINGLE, EQUAL, reference)]
        for row in compared:
            own = self.deltas(row["method"])
            paired = [own[seed] - base[seed] for seed in own if seed in base]
            row[key], row[f"{key}_interval"] = _mean(paired)
            row[p] = p_different(paired)
        compared = [row for row in compared if row[key] is not None]
        for row, corrected in zip(compared, holm([row[p] for row in compared]), strict=True):
            row[p] = float(corrected)
            sure = corrected < 1 - CONFIDENCE
            row[verdict] = (BETTER if row[key] > 0 else WORSE) if sure else SAME

    def _power(self, compared: list[dict[str, Any]]) -> list[str]:
        """How large a difference has to be to be seen, where one was not."""
        unsure = [row for row in compared if row["verdict"] == SAME]
        widths = [_half(row["difference"], row["difference_interval"]) for row in unsure]
        known = [width for width in widths if width is not None and width > 0]
        if not known:
            return []
        return [
            f"With {len(self.seeds)} seeds a difference of less than about "
            f"{np.median(known):.2g} points of delta_m may go unseen."
        ]

    def _cells(self) -> list[list[str]]:
        """The header of the table, and its rows."""
        arrows = {"max": "↑", "min": "↓"}
        header = ["method"]
        header += [f"{task} {name} {arrows[way]}" for task, (name, way) in self.metrics.items()]
        header += ["delta_m, %", "skill gain, %", "over equal, points", "in words"]
        header += ["step time", "trainings"]
        lines = [header]
        for row in self.rows:
            scores = [_cell(row["scores"][task], ".4g") for task in self.metrics]
            failed = "failed" if row["message"] else ""
            lines.append(
                [
                    row["method"],
                    *scores,
                    _with_half(row["delta_m"], row["delta_m_interval"]),
                    _cell(row["skill_gain"], "+z.1f"),
                    _with_half(row["difference"], row["difference_interval"]),
                    failed or row["verdict"] or "",
                    _cell(row["step_ratio"], ".2f"),
                    str(row["trainings"]),
                ]
            )
        return lines


def _words(rows: list[dict[str, Any]], key: str, verdict: str, reference: str) -> list[str]:
    """Which methods were better or worse than a reference."""
    said = []
    for way in (BETTER, WORSE):
        names = [
            f"{row['method']} (by {_with_half(abs(row[key]), row[f'{key}_interval'], '')} points)"
            for row in rows
            if row[verdict] == way
        ]
        if names:
            were = "was" if len(names) == 1 else "were"
            said.append(f"{listed(names)} {were} {way} than {reference}.")
    if not any(row[verdict] == BETTER for row in rows):
        said.insert(0, f"No method was better than {reference} beyond chance.")
    return said


def _mean(values: Sequence[float]) -> tuple[float | None, tuple[float, float] | None]:
    """The mean of some values and its interval; `None` where a value is missing or not finite."""
    if not values or not np.isfinite(values).all():
        return None, None
    mean, interval = mean_interval(values)
    return mean, interval if len(values) > 1 else None


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _half(mean: float | None, interval: tuple[float, float] | None) -> float | None:
    return None if mean is None or interval is None else interval[1] - mean


def _with_half(mean: float | None, interval: tuple[float, float] | None, sign: str = "+") -> str:
    if mean is None:
        return ""
    if interval is None:
        return f"{mean:{sign}z.1f}"
    return f"{mean:{sign}z.1f} ± {(interval[1] - interval[0]) / 2:.1f}"


def _cell(value: float | None, how: str) -> str:
    return "" if value is None else f"{value:{how}}"


def _finite(value: Any) -> Any:
    """A structure with `None` in place of what is not finite, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
