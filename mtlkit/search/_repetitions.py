"""Training a trial anew with other seeds: how much of its score is luck."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mtlkit._statistics import mean_interval
from mtlkit.model import MultiTaskModel
from mtlkit.search._data import SearchData
from mtlkit.search._head_space import HeadSpace, written
from mtlkit.search._records import Store, TrialRecord
from mtlkit.search._settings import Settings
from mtlkit.search._training import Watch, best_scores, train

#: Makes the model of a point and a run, and the data that it is trained on.
Trainer = Callable[[Any, int], tuple[MultiTaskModel, SearchData]]


@dataclass(frozen=True)
class Repetitions:
    """One trial, trained anew with other seeds.

    The seeds are those of weights, of the order of samples and of all that is drawn in training;
    the data are the same. The trial's own score is not among the scores: it was the best of many.

    Attributes:
        trial: Number of the trial.
        metric: Name of the log that is the score.
        epochs: Epochs of each repetition.
        data: Fingerprint of the data.
        records: The repetitions, those that failed among them.

    Example:
        ```python
        from mtlkit.search import Repetitions, TrialRecord

        runs = [TrialRecord(str(n), "finished", score=n / 10) for n in (1, 2, 3)]
        repeated = Repetitions("7", "val_orientation_accuracy", 9, "", runs)
        assert round(repeated.mean, 3) == 0.2 and round(repeated.half_width, 3) == 0.248
        ```
    """

    trial: str
    metric: str
    epochs: int
    data: str
    records: Sequence[TrialRecord] = field(repr=False)

    @property
    def scores(self) -> list[float]:
        """The scores of the repetitions that finished, each the best one of its epochs."""
        return [record.score for record in self.records if record.score is not None]

    @property
    def mean(self) -> float:
        """The mean of the scores; NaN without any."""
        return float(np.mean(self.scores)) if self.scores else float("nan")

    @property
    def half_width(self) -> float:
        """Half the width of the mean's 95 % t-interval; NaN with fewer than two scores."""
        if len(self.scores) < 2:
            return float("nan")
        mean, (_, high) = mean_interval(self.scores)
        return high - mean

    @property
    def interval(self) -> tuple[float, float]:
        """The mean's 95 % t-interval over seeds."""
        return self.mean - self.half_width, self.mean + self.half_width

    @property
    def failed(self) -> dict[str, int]:
        """How often repetitions failed, by message."""
        told = [record.message for record in self.records if record.score is None]
        return {message: told.count(message) for message in told}

    def __str__(self) -> str:
        count = len(self.scores)
        width = f" ± {self.half_width:.4f}" if count > 1 else ""
        text = (
            f"trial {self.trial}, {count} more {'run' if count == 1 else 'runs'} of {self.epochs} "
            f"epochs: {self.metric} {self.mean:.4f}{width}"
        )
        failed = "; ".join(f"{count} failed: {told}" for told, count in self.failed.items())
        return f"{text}; {failed}" if failed else text


@dataclass
class Repeater:
    """Trains points anew, and keeps what came of it."""

    directory: Path
    space: HeadSpace
    settings: Settings
    trainer: Trainer
    data: str
    report: Callable[[str], None]

    def run(self, point: Mapping[str, Any], run: int, epochs: int) -> TrialRecord:
        """Returns the record of a repetition, which is trained unless it is known."""
        store = Store(repetitions_folder(self.directory))
        seed = self.space.seed_of(point, run)
        name = f"{seed:08x}-{epochs}-{self.data}"
        known = store.records().get(name)
        if known is not None and known.status == "finished":
            return known
        record = TrialRecord(
            name,
            "failed",
            family=point["family"],
            point=written(point),
            budget=epochs,
            seed=seed,
        )
        start = time.perf_counter()
        try:
            self._train(record, point, run)
        except Exception as error:
            record.score, record.message = None, f"{type(error).__name__}: {error}"
        record.seconds = time.perf_counter() - start
        store.save(record)
        outcome = record.message if record.score is None else f"{record.score:.4f}"
        self.report(f"run {run}, {epochs} epochs | {outcome}")
        return record

    def _train(self, record: TrialRecord, point: Mapping[str, Any], run: int) -> None:
        settings = self.settings
        model, data = self.trainer(point, run)
        record.parameters = int(model.tasks[self.space.target].head.count_params())
        watch = Watch(settings.metric, settings.direction)
        try:
            train(
                model,
                data,
                watch,
                learning_rate=self.space.learning_rate(point),
                batch_size=settings.batch_size,
                epochs=record.budget or settings.epochs,
                seed=self.space.seed_of(point, run),
            )
        finally:
            watch.note(record)
        record.others = best_scores(watch.curves, settings.others)
        record.status = "finished"


def known_repetitions(directory: Path) -> list[tuple[dict[str, Any], int, str, list[TrialRecord]]]:
    """Returns what a search's folder holds."""
    folder = repetitions_folder(directory)
    if not folder.exists():
        return []
    found: dict[str, tuple[dict[str, Any], int, str, list[TrialRecord]]] = {}
    for record in Store(folder).records().values():
        _, epochs, data = record.trial.split("-")
        key = f"{record.point} {epochs} {data}"
        found.setdefault(key, (record.point, int(epochs), data, []))[-1].append(record)
    return list(found.values())


def repetitions_folder(directory: Path) -> Path:
    """The folder of repetitions within that of a search."""
    return directory / "repetitions"
