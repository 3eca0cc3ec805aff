"""Stopping training by the tasks' own scores."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from mtlkit._counts import check_count
from mtlkit._files import read_arrays, read_json, write_arrays, write_json
from mtlkit.callbacks._progress import Progress, progress_of, sum_of_skills

#: The name under which the weights with the best objective are kept, beside those of the tasks.
_OBJECTIVE = "the objective"


class TaskEarlyStopping(keras.callbacks.Callback):
    """Ends training, or that of a task, when the tasks' validation scores no longer improve.

    A task is followed by its `model.objective(task)`: the primary metric of its head or, if the
    task has metrics of its own, the first of these. It ends when that score has not improved for
    `patience` epochs.

    - `action="stop"`: training stops when all followed tasks have ended. Until then a task that
      has ended may improve once more, and goes on.
    - `action="freeze"`: a task ends for good. It gets the weights of its head back from its best
      epoch. They stay as they are from then on, and the loss of the task no longer counts, so that
      the others have the backbone to themselves. Training stops when all have ended.

    At the end the model has, with `restore_best_weights`, all weights of the epoch with the best
    objective: the sum of the tasks' skills, where the skill is the share of the way from the
    score of the first epoch to perfection (1 for scores that rise, else 0). A task alone may have
    been better in another epoch: `restore(task)` gives the model the weights of that one. The
    weights of the losses are as they were before training.

    Args:
        patience: Epochs without improvement after which a task ends.
        tasks: Names of the tasks that are followed. `None`: all.
        action: `"stop"` or `"freeze"`.
        restore_best_weights: Whether the model has the weights with the best objective at the end.
        min_delta: What a score has to be better by to count as an improvement.
        objective: From the skills by task to a number that is to be large. `None`: their sum.
        directory: A folder that keeps scores and best weights, by which a training that was
            killed goes on as if it had not been; use it with `keras.callbacks.BackupAndRestore`,
            which stands after this one in `callbacks`. `None`: they are kept in memory, once for
            each task.
        verbose: 1 to print which task ends, and what the model is left with.

    Attributes:
        progress: What is known of the tasks: `best`, `best_epoch`, `waited` and `ended` by task,
            and `objective_epoch`, counted from 0.

    Raises:
        ValueError: If an argument is out of range. In `fit`: if a task is not the model's, or
            there is no validation score of it.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl

        rng = np.random.default_rng(0)
        x, y = rng.random((64, 8, 8, 1)), {"kind": rng.integers(3, size=64)}
        model = mtl.MultiTaskModel(
            mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 8)),
            [mtl.Task("kind", mtl.heads.ClassificationHead(3))],
        )
        model.compile("adam")
        stopping = mtl.callbacks.TaskEarlyStopping(patience=2)
        model.fit(x, y, validation_data=(x, y), epochs=9, callbacks=[stopping], verbose=0)
        print(stopping.progress.best_epoch)
        ```
    """

    def __init__(
        self,
        patience: int = 5,
        tasks: Sequence[str] | None = None,
        action: Literal["stop", "freeze"] = "stop",
        restore_best_weights: bool = True,
        min_delta: float = 0.0,
        objective: Callable[[Mapping[str, float]], float] | None = None,
        directory: str | os.PathLike[str] | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__()
        check_count("patience", patience, 1)
        if action not in ("stop", "freeze"):
            raise ValueError(f'Expected action "stop" or "freeze". Received: action={action!r}')
        if not 0 <= min_delta < math.inf:
            raise ValueError(f"Expected min_delta >= 0. Received: min_delta={min_delta!r}")
        if isinstance(tasks, str) or (tasks is not None and not tasks):
            raise ValueError(
                f"Expected tasks as a list of names, or None. Received: tasks={tasks!r}"
            )
        self.patience = patience
        self.followed = None if tasks is None else list(tasks)
        self.action = action
        self.restore_best_weights = restore_best_weights
        self.min_delta = min_delta
        self.objective = objective or sum_of_skills
        self.verbose = verbose
        self.progress = Progress()
        self._directory = None if directory is None else Path(directory)
        self._epochs: list[dict[str, float]] = []
        self._kept: dict[str, list[np.ndarray]] = {}

    # === What Keras calls ===

    def on_train_begin(self, logs: Any = None) -> None:
        known = getattr(self.model, "tasks", {})
        tasks = list(known) if self.followed is None else self.followed
        unknown = [task for task in tasks if task not in known]
        if unknown or not tasks:
            raise ValueError(
                f"Expected tasks of a mtlkit.MultiTaskModel, {list(known)}. "
                f"Received: {unknown or type(self.model).__name__}"
            )
        objectives = {task: self.model.objective(task) for task in tasks}
        self._logs = {task: objective.name for task, objective in objectives.items()}
        self._directions = {task: objective.direction for task, objective in objectives.items()}
        self._loss_weights = {task: self._loss_weight(task) for task in tasks}
        self._epochs, self._kept, self.progress = [], {}, Progress()
        self._begun = False
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._begun:
            return
        self._begun = True
        if epoch:  # a training that goes on
            self._go_on(epoch)

    def on_test_begin(self, logs: Any = None) -> None:
        self._hold()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        logs = logs or {}
        missing = [log for log in self._logs.values() if log not in logs]
        if missing:
            raise ValueError(
                f"Expected validation_data (or validation_split) in fit, of which {missing[0]!r} "
                f"is a score. Received: the logs {list(logs)}"
            )
        scores = {task: float(logs[log]) for task, log in self._logs.items()}
        unknown = [task for task, score in scores.items() if math.isnan(score)]
        if unknown and not any(self._epochs):
            raise ValueError(
                f"Task {unknown[0]!r}: expected labels in the validation data, of which its score "
                "is taken. Received: none that is labelled. Name the tasks that have some: "
                f"TaskEarlyStopping(tasks={[one for one in scores if one not in unknown]})"
            )
        before = set(self.progress.ended)
        self._forget()
        self._epochs.append(scores)
        self.progress = self._progress()
        last = len(self._epochs) - 1
        for task, best in self.progress.best_epoch.items():
            if best == last:
                self._keep(task)
        if self.progress.objective_epoch == last:
            self._keep(_OBJECTIVE)
        for task in sorted(set(self.progress.ended) - before):
            self._say(
                f"epoch {epoch + 1}: {task} has not improved for {self.patience} epochs, best "
                f"{self.progress.best[task]:.4g} in epoch {self.progress.best_epoch[task] + 1}"
            )
        if self._directory is not None:
            write_json(self._state_path, {"epochs": self._epochs, "weights": self._loss_weights})
        self._hold()
        if self._directions.keys() <= self.progress.ended.keys():
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if not self._epochs:
            return
        best = self.progress.objective_epoch
        if self.restore_best_weights and best is not None:
            self._restore(_OBJECTIVE)
            self._say(f"the model has the weights of epoch {best + 1}, the best objective")
        self._restore_loss_weights()

    # === What users call ===

    def restore(self, task: str) -> None:
        """Gives the model all weights of a task's best epoch.

        Args:
            task: Name of a task that was followed.

        Raises:
            ValueError: If it was not, or had no score.
        """
        if task not in self.progress.best_epoch:
            raise ValueError(
                f"Expected a task with a score, {list(self.progress.best_epoch)}. "
                f"Received: {task!r}"
            )
        self._restore(task)
        self._restore_loss_weights()

    # === Private ===

    def _progress(self) -> Progress:
        return progress_of(
            self._epochs,
            self._directions,
            self.patience,
            self.min_delta,
            self.objective,
            for_good=self.action == "freeze",
        )

    def _go_on(self, epoch: int) -> None:
        """Takes what the folder keeps of the epochs before this one."""
        kept = None if self._directory is None else read_json(self._state_path)
        if kept is None:
            self._epochs = [{} for _ in range(epoch)]  # of which nothing is known
            return
        if len(kept["epochs"]) < epoch:
            raise ValueError(
                f"Expected the scores of {epoch} epochs in {self._directory}, to go on. Received: "
                f"{len(kept['epochs'])}. Let TaskEarlyStopping stand before BackupAndRestore in "
                "callbacks, or give it another directory"
            )
        self._epochs = kept["epochs"][:epoch]
        self._loss_weights = kept["weights"]
        self.progress = self._progress()
        self._hold()

    def _ended_tasks(self) -> list[str]:
        """The tasks that are frozen."""
        return list(self.progress.ended) if self.action == "freeze" else []

    def _hold(self) -> None:
        """Keeps frozen tasks as they are: an optimizer moves weights for a while by itself."""
        for task in self._ended_tasks():
            self.model.task_weights[task].assign(0.0)
            own = self._own_variables(task)
            for variable, value in zip(self.model.weights, self._weights(task), strict=True):
                if id(variable) in own:
                    variable.assign(value)

    def _own_variables(self, task: str) -> set[int]:
        """The variables of a task's head, and of what shows it another task's prediction."""
        layers = self.model.tasks[task].own_layers
        return {id(weight) for layer in layers for weight in layer.weights}

    def _loss_weight(self, task: str) -> float:
        return float(keras.ops.convert_to_numpy(self.model.task_weights[task]))

    def _keep(self, name: str) -> None:
        weights = [np.array(keras.ops.convert_to_numpy(w)) for w in self.model.weights]
        if self._directory is None:
            self._kept[name] = weights
        else:
            write_arrays(self._weights_path(name), weights)

    def _weights(self, name: str) -> list[np.ndarray]:
        if self._directory is None:
            return self._kept[name]
        return read_arrays(self._weights_path(name))

    def _restore(self, name: str) -> None:
        for variable, value in zip(self.model.weights, self._weights(name), strict=True):
            variable.assign(value)

    def _forget(self) -> None:
        """Removes files of epochs that are no longer the best.

        Those of the last epoch stay: if training is killed before the epoch is over, it is run
        again, and the ones before it may be the best.
        """
        if self._directory is None or not self._epochs:
            return
        kept = {self._weights_path(name) for name in [_OBJECTIVE, *self.progress.best_epoch]}
        for path in set(self._directory.glob("best_*.npz")) - kept:
            path.unlink()

    def _restore_loss_weights(self) -> None:
        for task, weight in self._loss_weights.items():
            self.model.task_weights[task].assign(weight)

    def _weights_path(self, name: str) -> Path:
        """The file of the best weights of a task, or of the objective."""
        assert self._directory is not None
        number = [_OBJECTIVE, *self._directions].index(name)
        epoch = self.progress.best_epoch.get(name, self.progress.objective_epoch)
        return self._directory / f"best_{number}_epoch_{epoch}.npz"

    @property
    def _state_path(self) -> Path:
        assert self._directory is not None
        return self._directory / "task_early_stopping.json"

    def _say(self, line: str) -> None:
        if self.verbose:
            print(line, flush=True)
