"""What a search found: the leaderboard and the evidence behind it."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mtlkit.model import MultiTaskModel
from mtlkit.search.data import SearchData
from mtlkit.search.frozen import FrozenFeatures
from mtlkit.search.head_space import HeadSpace
from mtlkit.search.records import Store, TrialRecord
from mtlkit.search.tuner import REFERENCE, Settings, described, leaders


class Leaderboard(list[dict[str, Any]]):
    """The trials as rows, the best one first, and those without a score last."""

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Writes the rows as a CSV file.

        Args:
            path: The file.
        """
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self[0]) if self else ["trial"])
            writer.writeheader()
            writer.writerows(
                {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()}
                for row in self
            )

    def __str__(self) -> str:
        shown = ("rank", "trial", "head", "score", "parameters", "step_ms", "epochs", "status")
        rows = [[_cell(row[name]) for name in shown] for row in self]
        widths = [max(map(len, column)) for column in zip(shown, *rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [list(shown), *rows]
        ]
        return "\n".join(lines)


class SearchResult:
    """The outcome of a search, read from its folder.

    Attributes:
        directory: The folder of the search.
        metric: Name of the log that is the score, on validation data.
        direction: `"max"` or `"min"`.
    """

    def __init__(
        self,
        store: Store,
        space: HeadSpace,
        settings: Settings,
        data: SearchData | None = None,
        frozen: FrozenFeatures | None = None,
    ) -> None:
        self.directory = store.directory
        self.metric = settings.metric
        self.direction = settings.direction
        self._store = store
        self._space = space
        self._settings = settings
        self._data = data
        self._frozen = frozen
        self._records = store.records()

    @property
    def trials(self) -> list[TrialRecord]:
        """The records of all trials, in the order in which they began."""
        return [record for name, record in self._records.items() if name != REFERENCE]

    @property
    def reference(self) -> TrialRecord | None:
        """The record of the model without the target, which the guard compares with."""
        return self._records.get(REFERENCE)

    @property
    def leaderboard(self) -> Leaderboard:
        """All trials, one row each, the best first."""
        ranked = self._ranked()
        rest = [record for record in self.trials if not record.ranked]
        rows = [self._row(record, rank) for rank, record in enumerate(ranked, 1)]
        return Leaderboard([*rows, *(self._row(record, None) for record in rest)])

    @property
    def best_trial(self) -> TrialRecord:
        """The record of the best trial.

        Raises:
            ValueError: If no trial has a score.
        """
        ranked = self._ranked()
        if not ranked:
            told = "; ".join(sorted({record.message for record in self.trials if record.message}))
            raise ValueError(
                f"Expected a trial with a score. Received: {len(self.trials)} trials without one. "
                f"{told}"
            )
        return ranked[0]

    @property
    def best_config(self) -> dict[str, Any]:
        """The best point as plain data; see `config`."""
        return self.config(self.best_trial.trial)

    def config(self, trial: str) -> dict[str, Any]:
        """Returns what a trial tried, as plain data that JSON can hold.

        Args:
            trial: Number of the trial.

        Returns:
            `"family"`, `"point"`, `"learning_rate"` and `"task"`: the task, from which
            `keras.saving.deserialize_keras_object(config["task"])` makes a `mtlkit.Task`.
        """
        return self._space.config(self._point(trial))

    def best_model(self) -> MultiTaskModel:
        """Returns the model of the best trial, with the weights of its best epoch."""
        return self.model(self.best_trial.trial)

    def model(self, trial: str) -> MultiTaskModel:
        """Returns the model of a trial, with the weights of its best epoch.

        Args:
            trial: Number of the trial.

        Returns:
            The model, compiled.
        """
        point = self._point(trial)
        if self._frozen is not None:
            trained, _ = self._frozen.model(point)
            self._store.load_weights(trial, trained)
            model = self._frozen.whole(point, trained)
            model.compile()
            return model
        model = self._space.build(point)
        self._store.load_weights(trial, model)
        return model

    def new_model(self, trial: str | None = None, run: int = 0) -> MultiTaskModel:
        """Returns the model of a trial with new weights, to be trained for longer.

        Args:
            trial: Number of the trial. `None`: the best one.
            run: Number of the repetition: others have other weights.

        Returns:
            The model, compiled with the trial's learning rate.
        """
        return self._space.build(self._point(trial or self.best_trial.trial), run)

    # === Private ===

    def _ranked(self) -> list[TrialRecord]:
        return leaders([record for record in self.trials if record.ranked], self.direction)

    def _point(self, trial: str) -> dict[str, Any]:
        if trial not in self._records or trial == REFERENCE:
            raise ValueError(
                f"Expected a trial out of {[record.trial for record in self.trials]}. "
                f"Received: trial={trial!r}"
            )
        return self._space.parsed(self._records[trial].point)

    def _row(self, record: TrialRecord, rank: int | None) -> dict[str, Any]:
        return {
            "rank": rank,
            "trial": record.trial,
            "head": described(record),
            "score": record.score if record.ranked else None,
            "parameters": record.parameters,
            "step_ms": record.step_ms,
            "epochs": record.epochs,
            "seconds": record.seconds,
            "status": "sacrifices " + ", ".join(record.sacrificed)
            if record.sacrificed
            else record.status,
            "message": record.message,
            "others": record.others,
            "point": record.point,
        }


def mean_and_interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean over seeds, and the half width of its 95 % t-interval (NaN for one value)."""
    from scipy import stats

    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan")
    return mean, float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def task_of(config: dict[str, Any]) -> Any:
    """Returns the `mtlkit.Task` of a `SearchResult.best_config`, with a new head."""
    return keras.saving.deserialize_keras_object(config["task"])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
