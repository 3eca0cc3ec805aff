"""Training one model of a comparison."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

import mtlkit
from mtlkit.balancing.comparison._splits import Split, Splits
from mtlkit.balancing.comparison._store import description, digest
from mtlkit.callbacks._progress import progress_of, sum_of_skills
from mtlkit.model import MultiTaskModel, Task
from mtlkit.model._wiring import Space
from mtlkit.search._batches import Batches, Shuffle, piped

_JUDGED_AT_ONCE = 256


@dataclass(frozen=True)
class Job:
    """One training that is asked for.

    Attributes:
        method: Name of the method in the table.
        seed: Seed of the initial weights and of the order of the samples.
        tasks: Names of the tasks that are trained.
        balancer: As for `mtlkit.MultiTaskModel`.
        weights: Weights of the losses by task. `None`: all 1.
        test: Whether the test data are looked at in the end.
        space: Where the balancer combines gradients.
    """

    method: str
    seed: int
    tasks: tuple[str, ...]
    balancer: Any = None
    weights: Mapping[str, float] | None = None
    test: bool = True
    space: Space = "features"


@dataclass(frozen=True)
class Protocol:
    """What is the same for all trainings.

    Attributes:
        build: Makes the backbone and the tasks.
        optimizer: The name of one, one to copy, or a function that makes one.
        splits: The data.
        epochs: Epochs of each training.
        batch_size: Samples in a batch.
        select: `"last"` or `"validation"`.
        metrics: The log and direction of each task's score, `{task: ("accuracy", "max")}`.
        options: For `compile`, beside the optimizer.
        same: What identifies all this in a request.
    """

    build: Callable[[], Any]
    optimizer: Any
    splits: Splits
    epochs: int
    batch_size: int
    select: str
    metrics: dict[str, tuple[str, str]]
    options: dict[str, Any] = field(default_factory=dict)
    same: dict[str, Any] = field(default_factory=dict)

    def request(self, job: Job) -> dict[str, Any]:
        """What tells a training from all others."""
        return {
            **self.same,
            "epochs": self.epochs,
            "select": self.select,
            "seed": job.seed,
            "test": job.test,
            **self.asked(job),
        }

    def asked(self, job: Job) -> dict[str, Any]:
        """What is trained in a job."""
        elsewhere = {} if job.space == "features" else {"balancer_space": job.space}
        return {
            **elsewhere,
            "tasks": list(job.tasks),
            "balancer": None if job.balancer is None else description(job.balancer),
            "weights": None if job.weights is None else dict(job.weights),
        }

    def model(self, job: Job) -> MultiTaskModel:
        """The model of a job, compiled, with new weights."""
        keras.utils.set_random_seed(job.seed)
        backbone, tasks = built(self.build)
        weights = job.weights or {}
        kept = [
            dataclasses.replace(task, weight=weights.get(task.name, 1.0))
            for task in tasks
            if task.name in job.tasks
        ]
        if len(kept) == 1:
            kept = [dataclasses.replace(kept[0], gradient="flow", condition_on=None)]
        balancer = seeded(job.balancer, job.seed)
        model = MultiTaskModel(backbone, kept, balancer, balancer_space=job.space)
        model.compile(new_optimizer(self.optimizer), **self.options)
        return model

    def train(self, job: Job) -> dict[str, Any]:
        """Trains a model; returns its scores on the validation data, and on test data if asked."""
        model = self.model(job)
        batches = Batches(*self.splits.train.of(job.tasks), self.batch_size)
        callbacks: list[Any] = [Shuffle(batches, job.seed)]
        options: dict[str, Any] = {}
        metrics = {task: self.metrics[task] for task in job.tasks}
        if self.select == "validation":
            callbacks.append(_BestEpoch(metrics))
            options["validation_data"] = self._judging(self.splits.val, job)
        start = time.perf_counter()
        model.fit(
            piped(batches),
            epochs=self.epochs,
            callbacks=callbacks,
            shuffle=False,  # `Shuffle` does, with its seed
            verbose=0,
            **options,
        )
        seconds = time.perf_counter() - start
        found = {"seconds": seconds, "val": self._scores(model, self.splits.val, job)}
        if job.test:
            found["test"] = self._scores(model, self.splits.test, job)
        return found

    def _scores(self, model: MultiTaskModel, split: Split, job: Job) -> dict[str, float | None]:
        logs = model.evaluate(self._judging(split, job), return_dict=True, verbose=0)
        found = {task: float(logs[f"{task}_{self.metrics[task][0]}"]) for task in job.tasks}
        return {task: score if np.isfinite(score) else None for task, score in found.items()}

    def _judging(self, split: Split, job: Job) -> Any:
        return piped(Batches(*split.of(job.tasks), _JUDGED_AT_ONCE))


def protocol_of(
    build: Callable[[], Any],
    data: Any,
    optimizer: Any,
    metrics: Mapping[str, Any] | None,
    epochs: int,
    batch_size: int,
    select: str,
    options: Mapping[str, Any] | None = None,
) -> Protocol:
    """Looks once at what `build` makes: its tasks, their metrics, and what identifies it."""
    before, _ = built(build)
    keras.utils.set_random_seed(0)
    backbone, tasks = built(build)
    if backbone is before:
        raise ValueError(
            "Expected build() to return a new backbone and new heads at each call, so that every "
            "training begins with new weights. Received: the same backbone twice"
        )
    equal = [dataclasses.replace(task, weight=1.0) for task in tasks]
    if len(equal) < 2:
        raise ValueError(
            "Expected build() to return at least two tasks, of which there is something to "
            f"balance. Received: {[task.name for task in equal]}"
        )
    model = MultiTaskModel(backbone, equal)
    unknown = [name for name in metrics or {} if name not in model.tasks]
    if unknown:
        raise ValueError(f"Expected metrics of tasks {list(model.tasks)}. Received: {unknown}")
    found: dict[str, tuple[str, str]] = {}
    for name in model.tasks:
        given = (metrics or {}).get(name, ())
        objective = model.objective(name, *([given] if isinstance(given, str) else given))
        found[name] = objective.name.removeprefix(f"val_{name}_"), objective.direction
    splits = Splits.read(data, list(model.tasks))
    weights = [f"{w.shape} {np.sum(keras.ops.convert_to_numpy(w)):.3g}" for w in model.weights]
    made = [description(backbone, *equal), *weights]
    same = {
        "data": splits.fingerprint(),
        "model": digest(*made),
        "optimizer": description(new_optimizer(optimizer)),
        "compile_options": dict(options or {}),
        "batch_size": batch_size,
        "metrics": {task: list(metric) for task, metric in found.items()},
        "backend": keras.backend.backend(),
        "versions": [keras.__version__, mtlkit.__version__],
    }
    fixed = dict(options or {})
    return Protocol(build, optimizer, splits, epochs, batch_size, select, found, fixed, same)


def built(build: Callable[[], Any]) -> tuple[Any, list[Task]]:
    """Calls the user's function, and checks what it returns."""
    made = build()
    try:
        backbone, tasks = made
        tasks = list(tasks)
    except (TypeError, ValueError):
        raise ValueError(
            f"Expected build() to return (backbone, tasks). Received: {type(made).__name__}"
        ) from None
    if not tasks or not all(isinstance(task, Task) for task in tasks):
        raise ValueError(f"Expected build() to return a list of mtlkit.Task. Received: {tasks!r}")
    return backbone, tasks


def new_optimizer(optimizer: Any) -> Any:
    """An optimizer that nobody has used yet."""
    if isinstance(optimizer, str):
        return keras.optimizers.get(optimizer)
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer).from_config(optimizer.get_config())
    made = optimizer() if callable(optimizer) else None
    if not isinstance(made, keras.optimizers.Optimizer):
        raise ValueError(
            "Expected optimizer to be a Keras optimizer, the name of one, or a function that "
            f"returns one. Received: optimizer={optimizer!r}"
        )
    return made


def seeded(balancer: Any, seed: int) -> Any:
    """A copy of a balancer; one that draws numbers, and names no seed, draws by this one."""
    if isinstance(balancer, Sequence) and not isinstance(balancer, str):
        return [seeded(part, seed) for part in balancer]
    found = copy.deepcopy(balancer)
    if getattr(found, "seed", 0) is None:
        found.seed = seed
    return found


class _BestEpoch(keras.callbacks.Callback):
    """Gives the model the weights of its best epoch, by the sum of skills on validation data."""

    def __init__(self, metrics: Mapping[str, tuple[str, str]]) -> None:
        super().__init__()
        self._metrics = metrics
        self._epochs: list[dict[str, float]] = []
        self._kept: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        logs = logs or {}
        scores = {task: float(logs[f"val_{task}_{name}"]) for task, (name, _) in self._logs}
        self._epochs.append(scores)
        directions = {task: direction for task, (_, direction) in self._logs}
        patience = len(self._epochs) + 1
        found = progress_of(self._epochs, directions, patience, 0.0, sum_of_skills)
        if found.objective_epoch == len(self._epochs) - 1:
            self._kept = [np.array(keras.ops.convert_to_numpy(w)) for w in self.model.weights]

    def on_train_end(self, logs: Any = None) -> None:
        if self._kept is not None:
            for variable, value in zip(self.model.weights, self._kept, strict=True):
                variable.assign(value)

    @property
    def _logs(self) -> list[tuple[str, tuple[str, str]]]:
        """The tasks with their log and direction."""
        return list(self._metrics.items())
