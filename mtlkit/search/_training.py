"""Training one trial: its schedule, and the reasons to stop it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from mtlkit._durations import duration
from mtlkit.search._baselines import Baseline
from mtlkit.search._batches import Batches, Shuffle, piped
from mtlkit.search._data import SearchData
from mtlkit.search._records import TrialRecord

_VALIDATION_BATCH = 256


#: How many other trials it takes to call one hopeless.
_PEERS = 5


class OutOfTime(BaseException):
    """The time budget is spent. Not an `Exception`: it is no failure of the trial."""


class NotANumber(ValueError):
    """A loss or score is NaN or infinite."""


def in_words(error: Exception) -> str:
    """What went wrong with a trial, without the name of an exception where words say it."""
    kind = type(error).__name__
    full = ("ResourceExhausted", "OutOfMemory", "RESOURCE_EXHAUSTED")
    if isinstance(error, MemoryError) or any(name in f"{kind} {error}" for name in full):
        return "out of memory: try a smaller batch_size, or max_parameters"
    if isinstance(error, NotANumber | ValueError) and str(error):
        return str(error)
    return f"{kind}: {error}" if str(error) else kind


class EpochLines(keras.callbacks.Callback):
    """Reports each epoch of a training, and the time that is left; ends it when that is over."""

    def __init__(
        self, report: Callable[[str], None], name: str, most_seconds: float = math.inf
    ) -> None:
        super().__init__()
        self._report, self._name, self._most = report, name, most_seconds

    def on_train_begin(self, logs: Any = None) -> None:
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        epochs = self.params["epochs"]
        used = time.monotonic() - self._start
        each, more = used / (epoch + 1), epochs - epoch - 1
        line = f"{self._name} | epoch {epoch + 1} of {epochs}"
        if more and used + each > self._most:
            self.model.stop_training = True
            self._report(f"{line} | the last: more would take too much of the time budget")
        else:
            self._report(f"{line} | {duration(min(each * more, self._most - used))} left")


class Watch(keras.callbacks.Callback):
    """Follows a trial: keeps its curves and best weights, and stops it where that is due."""

    def __init__(
        self,
        metric: str,
        direction: str,
        deadline: float = math.inf,
        keep: Callable[[keras.Model], None] | None = None,
        peers: Sequence[Sequence[float]] = (),
        patience: int = 2,
    ) -> None:
        super().__init__()
        self.metric = metric
        self.direction = direction
        self.deadline = deadline
        self.curves: dict[str, list[float]] = {}
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.hopeless = ""
        self.step_ms: float | None = None
        self._keep = keep
        self._peers = peers
        self._patience = patience
        self._batch_ends: list[float] = []

    @property
    def epochs(self) -> int:
        """Number of epochs that have ended."""
        return len(self.curves.get(self.metric, []))

    def note(self, record: TrialRecord) -> None:
        """Writes what was seen into the record of the trial."""
        record.curves, record.epochs = self.curves, self.epochs
        record.score, record.best_epoch = self.best, self.best_epoch
        record.step_ms = self.step_ms

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch_ends.append(time.perf_counter())

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._batch_ends = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        logs = {name: float(value) for name, value in (logs or {}).items()}
        if self.metric not in logs:
            raise ValueError(
                f"Expected the log {self.metric!r}, which is the score. Received: {list(logs)}"
            )
        for name, value in logs.items():
            self.curves.setdefault(name, []).append(value)
        bad = [name for name in ("loss", self.metric) if not math.isfinite(logs.get(name, 0.0))]
        if bad:
            raise NotANumber(f"{bad[0]} is {logs[bad[0]]} after epoch {epoch + 1}")
        self._time_steps()
        if self.best is None or better(logs[self.metric], self.best, self.direction):
            self.best, self.best_epoch = logs[self.metric], self.epochs - 1
            if self._keep is not None:
                self._keep(self.model)
        if time.monotonic() > self.deadline:
            raise OutOfTime
        if epoch + 1 < self.params["epochs"]:
            self._stop_if_hopeless()

    def _time_steps(self) -> None:
        if len(self._batch_ends) > 2:  # the first step of all compiles
            self.step_ms = float(1000 * np.median(np.diff(self._batch_ends)))

    def _stop_if_hopeless(self) -> None:
        peers = [curve for curve in self._peers if len(curve) >= self.epochs]
        if self.epochs < self._patience or len(peers) < _PEERS or self.best is None:
            return
        choose = max if self.direction == "max" else min
        median = float(np.median([choose(curve[: self.epochs]) for curve in peers]))
        if better(median, self.best, self.direction):
            self.hopeless = (
                f"{self.metric} {self.best:.4g} after {self.epochs} epochs, where the median of "
                f"{len(peers)} other trials is {median:.4g}"
            )
            self.model.stop_training = True


def train(
    model: Any,
    data: SearchData,
    watch: Watch,
    *,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    seed: int,
    first: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Trains a model as all trials are: with Adam and a rate that falls to zero."""
    data = data.for_tasks(model.tasks)
    steps = (epochs - first) * math.ceil(data.samples / batch_size)
    model.compile(keras.optimizers.Adam(decayed(learning_rate, steps)))
    # Keras would do so in the first step, which it then traces twice.
    model.optimizer.build(model.trainable_variables)
    batches = Batches(data.x, data.y, batch_size)
    model.fit(
        piped(batches),
        validation_data=piped(Batches(data.x_val, data.y_val, _VALIDATION_BATCH)),
        epochs=epochs,
        initial_epoch=first,
        callbacks=[Shuffle(batches, seed), watch, *callbacks],
        shuffle=False,  # `Shuffle` does, with its seed; Keras with whatever was drawn before
        verbose=0,
    )


def better(value: float, than: float, direction: str) -> bool:
    """Whether a score is better than another one."""
    return value > than if direction == "max" else value < than


def best_of(values: Sequence[float], direction: str) -> float | None:
    """The best of some scores, NaN left out; `None` if there is none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    return max(finite) if direction == "max" else min(finite)


def best_scores(
    curves: Mapping[str, Sequence[float]], metrics: Mapping[str, tuple[str, str]]
) -> dict[str, float]:
    """The best score of each task that has one; `metrics` as in `sacrificed`."""
    best = {task: best_of(curves.get(name, ()), way) for task, (name, way) in metrics.items()}
    return {task: score for task, score in best.items() if score is not None}


def decayed(rate: float, steps: int | None) -> Any:
    """A learning rate with a cosine decay over a number of steps; constant if it is unknown."""
    return rate if not steps else keras.optimizers.schedules.CosineDecay(rate, steps)


def sacrificed(
    curves: Mapping[str, Sequence[float]],
    reference: Mapping[str, Sequence[float]],
    metrics: Mapping[str, tuple[str, str]],
    tolerance: float,
    baselines: Mapping[str, Baseline | None],
) -> tuple[dict[str, float], list[str]]:
    """Compares the other tasks with a model that was trained without the target."""
    scores = best_scores(curves, metrics)
    lost = []
    for task, own in scores.items():
        name, direction = metrics[task]
        other = best_of(list(reference.get(name, ()))[: len(curves[name])], direction)
        if other is None:
            continue
        baseline = baselines.get(task)
        allowed = tolerance * abs(other - (0.0 if baseline is None else baseline.score))
        if baseline is not None and baseline.shares:
            allowed += 2 * math.sqrt(2 * other * (1 - other) / baseline.samples)
        if (other - own if direction == "max" else own - other) > allowed:
            lost.append(task)
    return scores, lost


def guarded(score: float, direction: str, lost: Sequence[str]) -> float:
    """What a tuner is to maximise: the score, or less than any score of the same size."""
    signed = score if direction == "max" else -score
    return signed - (1 + abs(signed)) if lost else signed


def peers_of(record_curves: Sequence[TrialRecord], metric: str, epochs: int) -> list[list[float]]:
    """The curves of finished trials that were given as many epochs."""
    return [
        record.curves[metric]
        for record in record_curves
        if record.status == "finished" and len(record.curves.get(metric, ())) == epochs
    ]
