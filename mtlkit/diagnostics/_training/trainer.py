"""Training copies for a counted number of steps, again and again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit.diagnostics._training.copies import weights_of
from mtlkit.model import MultiTaskModel

#: Samples of a training step.
BATCH = 64
#: Steps that are timed.
_TIMED = 3


class Trainer:
    """Trains one compiled copy from given weights, as often as needed.

    A model is compiled once, and its training function serves every start: other weights,
    rates, task weights or inputs do not compile it anew.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        x: Any,
        y: Mapping[str, NDArray],
        rows: NDArray[np.integer] | None = None,
        batch: int = BATCH,
        adapt: bool = True,
    ) -> None:
        self.model = model
        self.rows = np.arange(len(keras.tree.flatten(x)[0])) if rows is None else rows
        self.batch = min(batch, len(self.rows))
        self._x = x
        self._y = {name: y[name] for name in model.tasks if name in y}
        for name, labels in self._y.items():
            if adapt and not model.tasks[name].head.adapted:
                model.tasks[name].head.adapt(labels[self.rows])
        model.optimizer.build(model.trainable_variables)
        self._initial = weights_of(model)
        self._state = [np.array(keras.ops.convert_to_numpy(v)) for v in self._variables]
        self._seconds: float | None = None

    @property
    def steps_of_epoch(self) -> int:
        """Steps that see every sample once."""
        return max(1, len(self.rows) // self.batch)

    @property
    def seconds(self) -> float:
        """CPU-seconds of a step, measured once; the weights are put back."""
        if self._seconds is None:
            before = weights_of(self.model)
            self.run(1, seed=0)  # compiles
            start = time.process_time()
            self.run(_TIMED, seed=0)
            self._seconds = max((time.process_time() - start) / _TIMED, 1e-4)
            self.restart(before)
        return self._seconds

    def restart(self, weights: list[NDArray] | None = None) -> None:
        """Begins anew: from these weights (`None`: the first ones), with a new optimizer."""
        self.model.set_weights(self._initial if weights is None else weights)
        for variable, value in zip(self._variables, self._state, strict=True):
            variable.assign(value)

    def affordable(self, seconds: float, epochs: float) -> int:
        """The steps of so many epochs, halved until they fit into these CPU-seconds.

        Halved, rather than cut: what is measured must not depend on how busy the machine is.
        """
        steps = math.ceil(epochs * self.steps_of_epoch)
        while steps and steps * self.seconds > seconds:
            steps //= 2
        return steps

    def run(
        self,
        steps: int,
        seed: int,
        *,
        decay: bool = False,
        after: Mapping[int, Callable[[], None]] | None = None,
        callback: keras.callbacks.Callback | None = None,
    ) -> None:
        """Trains for some steps, as one epoch of `fit` for the callback."""
        after = after or {}
        callback = callback or keras.callbacks.Callback()
        callback.set_model(self.model)
        callback.on_train_begin()
        callback.on_epoch_begin(0)
        optimizer = self.model.optimizer
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate)) if decay else 0.0
        for step, rows in enumerate(self._batches(steps, seed)):
            if decay:
                optimizer.learning_rate = rate * (1 + math.cos(math.pi * step / steps)) / 2
            x = keras.tree.map_structure(lambda array, rows=rows: array[rows], self._x)
            self.model.train_on_batch(x, {name: y[rows] for name, y in self._y.items()})
            callback.on_train_batch_end(step)
            if step + 1 in after:
                after[step + 1]()
        callback.on_train_end()
        if decay:
            optimizer.learning_rate = rate

    @property
    def _variables(self) -> list[Any]:
        return list(self.model.optimizer.variables)

    def _batches(self, steps: int, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        order = rng.permutation(self.rows)
        at = 0
        for _ in range(steps):
            if at + self.batch > len(order):
                order, at = rng.permutation(self.rows), 0
            yield order[at : at + self.batch]
            at += self.batch
