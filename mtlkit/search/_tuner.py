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
from mtlkit.search._records import TrialRecord
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
        if self.trials.out_of_time:
            raise OutOfTime
        if is_worker():
            time.sleep(_PAUSE)

    def _try_run_and_update_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
        # Without KerasTuner's tracebacks on the screen: the record has the message.
        values = trial.hyperparameters.values
        logs = self._logs(trial)
        self._update(trial, self.trials.run(trial.trial_id, values, str(self.tuner_id), logs))

    # === What else runs trials ===

    def end(self, trial: Any, record: TrialRecord) -> None:
        """Lets the oracle know what became of a trial."""
        self._update(trial, record)
        self.oracle.end_trial(trial)

    def _update(self, trial: Any, record: TrialRecord) -> None:
        score = self.trials.score(record)
        if score is None:
            trial.status, trial.message = "FAILED", record.message
            return
        self.oracle.update_trial(trial.trial_id, {OBJECTIVE.name: score})
        trial.status = "COMPLETED"

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
