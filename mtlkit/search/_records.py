"""What a search remembers of its trials: one file a trial, written whole or not at all."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mtlkit._files import forget_unfinished, read_arrays, read_json, write_arrays, write_json

#: What may become of a trial.
STATUSES = ("finished", "hopeless", "failed", "rejected", "interrupted")
#: How often the time of a search is written down, in seconds.
_TICK = 1.0
#: Added to the number of a record that gave way to another one.
_FAR = 100_000


@dataclass
class TrialRecord:
    """One trial: what was tried, how it went, and what it cost.

    Attributes:
        trial: Number of the trial, as text.
        status: `"finished"`; `"hopeless"`, stopped early and far behind; `"failed"`;
            `"rejected"`, before it began; or `"interrupted"`, to be tried again.
        family: Name of the candidate.
        point: The point of the search space.
        score: The best value of the target's metric on validation data; `None` without one.
        best_epoch: The epoch of the score, counted from 0.
        epochs: The epochs trained, those of an earlier trial that it went on from among them.
        budget: The epochs that it was given.
        curves: Each log by its name, a value an epoch.
        others: The best validation scores of the other tasks.
        sacrificed: The other tasks that came out worse than the guard allows.
        parameters: The number of weights of the target's head.
        step_ms: Milliseconds of a training step.
        seconds: Wall clock time of the trial.
        message: Why it failed, was rejected or stopped.
        seed: Seed of the model.
        worker: Who ran it.

    Example:
        ```python
        from mtlkit.search import TrialRecord

        record = TrialRecord("3", "finished", family="polar", score=0.91, best_epoch=7)
        assert record.score == 0.91
        ```
    """

    trial: str
    status: str
    family: str = ""
    point: dict[str, Any] = field(default_factory=dict)
    score: float | None = None
    best_epoch: int | None = None
    epochs: int = 0
    budget: int | None = None
    curves: dict[str, list[float]] = field(default_factory=dict)
    others: dict[str, float] = field(default_factory=dict)
    sacrificed: list[str] = field(default_factory=list)
    parameters: int | None = None
    step_ms: float | None = None
    seconds: float = 0.0
    message: str = ""
    seed: int | None = None
    worker: str = ""

    @property
    def over(self) -> bool:
        """Whether the trial has run to its end, whatever that was."""
        return self.status in ("finished", "hopeless", "failed")

    @property
    def ranked(self) -> bool:
        """Whether the trial has a score that may win."""
        return self.status in ("finished", "hopeless") and self.score is not None


class Store:
    """The folder of a search.

    Every file is written beside its place and then moved there, so that whoever is killed
    leaves the old file or the new one. A file that cannot be read is moved aside, with a
    warning, and the search goes on without it.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.trials = self.directory / "trials"
        self.trials.mkdir(parents=True, exist_ok=True)

    def save(self, record: TrialRecord) -> None:
        """Keeps the record of a trial, in place of an earlier one."""
        write_json(self.trials / f"{record.trial}.json", asdict(record))

    def settled(self, record: TrialRecord) -> TrialRecord | None:
        """Keeps and returns the record of the same trial if it is over already, else `None`.

        That is so if whoever ran it was killed before the tuner knew, or the tuner's file was
        lost. A record of another trial that has the number is kept under a new one.
        """
        records = self.records()
        for known in records.values():
            same = (known.point, known.budget) == (record.point, record.budget)
            if same and known.over:
                self._copy_weights(known.trial, record.trial)
                known = replace(known, trial=record.trial)
                self.save(known)
                return known
        other = records.get(record.trial)
        if other is not None and other.over:
            number = max(int(name) for name in records if name.isdigit()) + _FAR
            self.save(replace(other, trial=str(number)))
            (self.trials / f"{other.trial}.json").unlink()
            if self.weights_path(other.trial).exists():
                self.weights_path(other.trial).replace(self.weights_path(str(number)))
        return None

    def records(self) -> dict[str, TrialRecord]:
        """Returns the records by trial, in the order of their numbers."""
        known = {one.name for one in fields(TrialRecord)}
        found = {}
        for path in sorted(self.trials.glob("*.json"), key=lambda path: path.stem.zfill(9)):
            kept = read_json(path)
            if kept is not None:
                found[path.stem] = TrialRecord(**{k: v for k, v in kept.items() if k in known})
        return found

    def weights_path(self, trial: str) -> Path:
        """The file of a trial's best weights."""
        return self.trials / f"{trial}.npz"

    def save_weights(self, trial: str, model: Any) -> None:
        """Keeps the weights of a model as the best of a trial."""
        write_arrays(self.weights_path(trial), model.get_weights())

    def load_weights(self, trial: str, model: Any) -> None:
        """Gives a model the best weights of a trial."""
        model.set_weights(read_arrays(self.weights_path(trial)))

    def _copy_weights(self, trial: str, other: str) -> None:
        kept, path = self.weights_path(trial), self.weights_path(other)
        if kept.exists() and not path.exists():
            write_arrays(path, read_arrays(kept))

    def seconds_used(self) -> float:
        """The time that the search took so far, over all calls."""
        kept = read_json(self._clock)
        return 0.0 if kept is None else float(kept["seconds"])

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Counts the time within, so that whoever is killed loses a few seconds at most."""
        forget_unfinished(self._clock)  # of one that was killed
        before, start = self.seconds_used(), time.monotonic()

        def count() -> None:
            write_json(self._clock, {"seconds": before + time.monotonic() - start})

        try:
            with again_and_again(count, _TICK):
                yield
        finally:
            count()

    @property
    def _clock(self) -> Path:
        return self.directory / "clock.json"


@contextmanager
def again_and_again(action: Callable[[], object], seconds: float) -> Iterator[None]:
    """Does something every so many seconds, in a thread, as long as the context lasts."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(seconds):
            action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
