"""A line for each epoch: the loss, and each task's own score."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import keras

from mtlkit._durations import duration

#: Seconds between two signs of life within an epoch.
_OFTEN = 0.5


class EpochLines(keras.callbacks.Callback):
    """Prints how far a training is: within an epoch on a terminal, and at the end of each one."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._began = self._said = time.monotonic()
        self._place = f"epoch {epoch + 1}/{self.params['epochs']}"

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.monotonic()
        if sys.stdout.isatty() and now - self._said > _OFTEN:
            self._said = now
            steps = self.params.get("steps") or "?"
            print(f"\r{self._place}: batch {batch + 1} of {steps}", end="", flush=True)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        logs = logs or {}
        scores = [self._score(task, logs) for task in self.model.tasks]
        took = duration(time.monotonic() - self._began)
        start = "\r" if sys.stdout.isatty() else ""
        said = f"{start}{self._place} ({took}): loss {logs['loss']:.4g}; held out: "
        print(said + ", ".join(one for one in scores if one), flush=True)

    def _score(self, task: str, logs: Mapping[str, float]) -> str:
        """The score that judges a task, on the validation data."""
        log = self.model.objective(task).name
        name = log.removeprefix(f"val_{task}_").replace("_", " ")
        return f"{task} {name} {logs[log]:.3g}" if log in logs else ""
