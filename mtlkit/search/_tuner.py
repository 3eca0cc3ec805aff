"""KerasTuner's loop over the trials of a search."""

from __future__ import annotations

import contextlib
import io
import os
import time
from typing import Any

import keras
import keras_tuner

from mtlkit.search._oracles import OBJECTIVE
from mtlkit.search._training import OutOfTime
from mtlkit.search._trials import Trials

#: How long a worker waits before it asks for a trial, in seconds: there may be none yet.
_PAUSE = 0.2


class HeadTuner(keras_tuner.Tuner):
    """Runs the trials that an oracle proposes, or that the chief does in its place.

    Args:
        oracle: The oracle.
        trials: What runs a trial.
        tensorboard: The folder for TensorBoard. `None`: none.
    """

    def __init__(self, oracle: Any, trials: Trials, tensorboard: str | None = None) -> None:
        self.trials = trials
        self._tensorboard = tensorboard
        directory = trials.store.directory
        with contextlib.redirect_stdout(io.StringIO()):  # which says that it reloads a file
            super().__init__(
                oracle=oracle,
                hypermodel=lambda hp: None,
                directory=str(directory.parent),
                project_name=directory.name,
            )
        if is_worker():
            self._bring_the_token()

    def _bring_the_token(self) -> None:
        """Has the client of the chief show the token of the search."""
        from mtlkit.search._chief_access import known_token, with_token

        host, port = (os.environ[f"KERASTUNER_ORACLE_{name}"] for name in ("IP", "PORT"))
        token = known_token(self.trials.store.directory)
        self.oracle.stub = with_token(f"{host}:{port}", token)

    # === What KerasTuner calls ===

    def _populate_initial_space(self) -> None:
        """Nothing: the space is declared, models need not be built to find it."""

    def _get_tuner_fname(self) -> str:
        return self.oracle._get_oracle_fname()

    def save(self) -> None:
        """Nothing: all state is the oracle's."""

    def reload(self) -> None:
        self.oracle.reload()

    def pre_create_trial(self) -> None:
        if time.monotonic() > self.trials.deadline:
            raise OutOfTime
        if is_worker():
            time.sleep(_PAUSE)

    def _try_run_and_update_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
        # Without KerasTuner's tracebacks on the screen: the record has the message.
        try:
            score = self.run_trial(trial, *args, **kwargs)
            self.oracle.update_trial(trial.trial_id, score)
            trial.status = "COMPLETED"
        except keras_tuner.errors.FailedTrialError as error:
            trial.status, trial.message = "FAILED", str(error)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        values = trial.hyperparameters.values
        logs = self._logs(trial)
        record = self.trials.run(trial.trial_id, values, str(self.tuner_id), logs)
        score = self.trials.score(record)
        if score is None:
            raise keras_tuner.errors.FailedTrialError(record.message)
        return {OBJECTIVE.name: score}

    def _logs(self, trial: Any) -> list[keras.callbacks.Callback]:
        """The callbacks that write for TensorBoard."""
        if self._tensorboard is None:
            return []
        callbacks = [keras.callbacks.TensorBoard(self._tensorboard)]
        self._configure_tensorboard_dir(callbacks, trial)
        return callbacks


def is_worker() -> bool:
    """Whether KerasTuner's environment variables make this process a worker."""
    name = os.environ.get("KERASTUNER_TUNER_ID", "chief")
    return "KERASTUNER_ORACLE_IP" in os.environ and not name.startswith("chief")


def is_chief() -> bool:
    """Whether KerasTuner's environment variables make this process the chief."""
    name = os.environ.get("KERASTUNER_TUNER_ID", "")
    return "KERASTUNER_ORACLE_IP" in os.environ and name.startswith("chief")
