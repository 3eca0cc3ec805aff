"""KerasTuner's oracles, made durable: what they know is one file, written at once.

An oracle of KerasTuner writes one file a trial and one for itself, in place. Whoever is
killed between or within these writes leaves trials that are lost, run twice or unreadable.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.src.engine import conditions as tuner_conditions
from keras_tuner.src.engine import oracle as tuner_oracle

from mtlkit._files import forget_unfinished, read_json, write_json

#: KerasTuner 1.4.8 prints a line for each condition that it sends to another process.
tuner_conditions.print = lambda *args: None

#: The name and direction of what oracles optimise: see `mtlkit.search._training.guarded`.
OBJECTIVE = keras_tuner.Objective("score", "max")
_NEVER = 9999
_TRIES = 200


def _synchronized(method: Callable[..., Any]) -> Callable[..., Any]:
    """As KerasTuner's, which keeps its lock for ever if the method raises an error."""
    locked = keras_tuner.synchronized(method)

    @functools.wraps(method)
    def called(oracle: Any, *args: Any, **kwargs: Any) -> Any:
        name = threading.current_thread().name
        outermost = tuner_oracle.THREADS[oracle] != name
        try:
            return locked(oracle, *args, **kwargs)
        except BaseException:
            if outermost and tuner_oracle.THREADS[oracle] == name:
                tuner_oracle.THREADS[oracle] = None
                tuner_oracle.LOCKS[oracle].release()
            raise

    return called


class _Durable(keras_tuner.Oracle):
    """What is common to the oracles.

    Attributes:
        initial: Values that are tried first.
        rejects: Tells whether values cannot be tried, before they become a trial.
        repeats: Tells whether other values stand for the same.
    """

    initial: Sequence[Mapping[str, Any]] = ()
    rejects: Callable[[Mapping[str, Any]], bool] | None = None
    repeats: Callable[[Mapping[str, Any]], bool] | None = None

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if hasattr(self, "_random_state"):
            # The state of this generator is not saved: it must depend on what is.
            self._random_state = np.random.RandomState([self.seed, len(self.trials)])
        return super().populate_space(trial_id)

    @_synchronized
    def create_trial(self, tuner_id: str) -> Any:
        trial = super().create_trial(tuner_id)
        if trial.status == "STOPPED" and self.ongoing_trials:
            # Whoever runs the last trials may die: somebody must be there to take them.
            self.tuner_ids.add(tuner_id)
            trial.status = "IDLE"
        return trial

    def _random_values(self) -> dict[str, Any] | None:
        for values in self.initial:
            if self._is_new(values) and not self._rejected(values):
                return dict(values)
        for _ in range(_TRIES):
            values = super()._random_values()
            if values is None or not self._rejected(values):
                return values
        return None

    def _is_new(self, values: Mapping[str, Any]) -> bool:
        found = self._compute_values_hash(values)
        if found in self._tried_so_far:
            return False
        self._tried_so_far.add(found)
        return True

    def _rejected(self, values: Mapping[str, Any]) -> bool:
        return self._repeated(values) or (self.rejects is not None and self.rejects(values))

    def _repeated(self, values: Mapping[str, Any]) -> bool:
        return self.repeats is not None and self.repeats(values)

    # === One file ===

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self._get_oracle_fname())

    def _save_trial(self, trial: Any) -> None:
        """Nothing: trials are saved with the rest, which KerasTuner asks for next."""

    def save(self) -> None:
        trials = {trial_id: trial.get_state() for trial_id, trial in self.trials.items()}
        write_json(self.path, {"oracle": self.get_state(), "trials": trials})

    def reload(self) -> None:
        forget_unfinished(self.path)  # of one that was killed
        kept = read_json(self.path)
        if kept is None:
            return
        for trial_id, state in kept["trials"].items():
            self.trials[trial_id] = keras_tuner.engine.trial.Trial.from_state(state)
        self.set_state(kept["oracle"])
        for trial_id in kept["oracle"]["ongoing_trials"].values():
            self.requeue(trial_id)
        self.ongoing_trials: dict[str, Any] = {}

    @_synchronized
    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Any:
        trial = super().update_trial(trial_id, metrics, step)
        self.save()  # a chief may be killed between this call and the one that ends the trial
        return trial

    @_synchronized
    def end_trial(self, trial: Any) -> None:
        """As KerasTuner's, once: a worker may report again to a chief that was started anew."""
        running = {one.trial_id for one in self.ongoing_trials.values()}
        if trial.trial_id in self.end_order and trial.trial_id not in running:
            return
        if trial.trial_id in self._retry_queue and trial.status == "COMPLETED":
            self._retry_queue.remove(trial.trial_id)
        super().end_trial(trial)

    @_synchronized
    def abandon(self, tuner_id: str) -> None:
        """Gives up a worker, and has its trial tried again by another one."""
        trial = self.ongoing_trials.pop(tuner_id, None)
        self.tuner_ids.discard(tuner_id)
        if trial is not None:
            self.requeue(trial.trial_id)
            self.save()

    def requeue(self, trial_id: str) -> None:
        """Has a trial tried again that nobody runs any more."""
        if trial_id not in self._retry_queue:
            self._retry_queue.insert(0, trial_id)


class RandomSearch(_Durable, keras_tuner.oracles.RandomSearchOracle):
    """Points drawn at random."""


class BayesianOptimization(_Durable, keras_tuner.oracles.BayesianOptimizationOracle):
    """Points that a Gaussian process thinks promising."""


class Hyperband(_Durable, keras_tuner.oracles.HyperbandOracle):
    """Points drawn at random, of which the better ones are trained on.

    Trials begin with a third of the epochs, not with one alone: heads that need some epochs to
    leave chance would all look alike. Where even these do not tell heads apart, brackets that
    begin with as few are left out.

    Attributes:
        tells_apart: Says whether trials of so many epochs can be ranked.
    """

    tells_apart: Callable[[int], bool] | None = None

    def __init__(self, max_epochs: int, **options: Any) -> None:
        # Without end: trials or time are what is limited.
        super().__init__(max_epochs=max_epochs, hyperband_iterations=None, **options)
        self.min_epochs = max(1, max_epochs / self.factor)
        self._current_bracket = self._get_num_brackets() - 1
        self._brackets: list[dict[str, Any]] = []
        self._start_new_bracket()

    def _increment_bracket_num(self) -> None:
        super()._increment_bracket_num()
        while self._current_bracket > 0 and not self._tells_apart(self._current_bracket):
            self._current_bracket -= 1

    def _tells_apart(self, bracket: int) -> bool:
        return self.tells_apart is None or self.tells_apart(self._get_epochs(bracket, 0))


class GridSearch(_Durable, keras_tuner.oracles.GridSearchOracle):
    """Every point, one after the other."""

    def get_state(self) -> dict[str, Any]:
        # KerasTuner 1.4.8 forgets where it is.
        order, trial = [], self._first()
        while trial is not None:
            order.append(trial)
            trial = self._ordered_ids.next(trial)
        return {**super().get_state(), "order": order, "populate_next": self._populate_next}

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        for trial in state["order"]:
            self._ordered_ids.insert(trial)
        self._populate_next = list(state["populate_next"])

    def _get_next_combination(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        following = super()._get_next_combination(values)
        while following is not None and self._repeated(following):
            following = super()._get_next_combination(following)
        return following

    def _first(self) -> str | None:
        """The trial with the default values, which begins the order."""
        return self.start_order[0] if self.start_order else None


def make_oracle(
    tuner: str, hyperparameters: Any, *, max_trials: int | None, epochs: int, seed: int
) -> Any:
    """Makes an oracle."""
    kinds = {
        "random": RandomSearch,
        "bayesian": BayesianOptimization,
        "hyperband": Hyperband,
        "grid": GridSearch,
    }
    if tuner not in kinds:
        raise ValueError(f"Expected tuner to be one of {list(kinds)}. Received: tuner={tuner!r}")
    options: dict[str, Any] = {
        "objective": OBJECTIVE,
        "hyperparameters": hyperparameters,
        "allow_new_entries": False,
        "seed": seed + 1,  # which takes 0 for no seed
        "max_consecutive_failed_trials": _NEVER,
    }
    if tuner == "hyperband":
        oracle: Any = Hyperband(max_epochs=epochs, **options)
        oracle.max_trials = max_trials
    else:
        oracle = kinds[tuner](max_trials=max_trials or _NEVER, **options)
    oracle.verbose = 0
    return oracle
