"""How long a training step takes, beside that with equal weights."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from mtlkit.balancing.comparison._training import Job, Protocol
from mtlkit.search._batches import Batches, piped

#: Pairs of blocks; fewer where a step takes longer than so many seconds.
_PAIRS, _FEW_PAIRS, _SLOW = 5, 3, 0.3
#: The steps of a block: as many as take about so many seconds.
_SECONDS, _FEWEST, _MOST = 0.3, 2, 30


class StepTimes:
    """Times the steps of methods beside those with equal weights, whose model is made once.

    Args:
        protocol: What is the same for all.
        equal: The job with equal weights.
    """

    def __init__(self, protocol: Protocol, equal: Job) -> None:
        self._protocol, self._equal = protocol, equal
        self._first: _Steps | None = None

    def ratio(self, job: Job) -> float:
        """The time of a step over that with equal weights, the median over alternating blocks."""
        if self._first is None:
            self._first = _Steps(self._protocol, self._equal)
        first, second = self._first, _Steps(self._protocol, job)
        each = max(first.block(_FEWEST), second.block(_FEWEST))
        count = int(np.clip(_SECONDS / each, _FEWEST, _MOST))
        ratios = []
        for number in range(_FEW_PAIRS if each > _SLOW else _PAIRS):
            order = (first, second) if number % 2 else (second, first)
            times = {id(steps): steps.block(count) for steps in order}
            ratios.append(times[id(second)] / times[id(first)])
        return float(np.median(ratios))


class _Steps:
    """A model whose training steps are timed."""

    def __init__(self, protocol: Protocol, job: Job) -> None:
        self._model = protocol.model(job)
        self._arrays = protocol.splits.train.of(job.tasks)
        self._batch_size = min(protocol.batch_size, protocol.splits.train.samples)
        self.block(_FEWEST)  # compiles

    def block(self, steps: int) -> float:
        """Seconds of a step, the mean over so many."""
        rows = np.arange((steps + 1) * self._batch_size) % len(
            keras.tree.flatten(self._arrays[0])[0]
        )
        x, y = keras.tree.map_structure(lambda array: array[rows], self._arrays)
        clock = _Clock()
        batches = Batches(x, y, self._batch_size)
        self._model.fit(piped(batches), callbacks=[clock], shuffle=False, verbose=0)
        return clock.seconds / steps


class _Clock(keras.callbacks.Callback):
    """Times all steps of an epoch but the first one."""

    seconds = float("nan")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        last = self.params["steps"] - 1
        if batch in (0, last):
            float(keras.ops.convert_to_numpy((logs or {})["loss"]))  # waits for the step
            now = time.perf_counter()
            if batch == 0:
                self._start = now
            if batch == last:
                self.seconds = now - self._start
