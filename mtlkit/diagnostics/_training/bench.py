"""What the probes of a model share: checked data, the score, and how far the user's model is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import mean_interval
from mtlkit.diagnostics._effects import way_of
from mtlkit.diagnostics._training.clock import Clock
from mtlkit.diagnostics._training.copies import compiled, compiled_like, copy_of, fresh_copy
from mtlkit.diagnostics._training.score import Score
from mtlkit.diagnostics._training.trainer import Trainer
from mtlkit.diagnostics.evidence import Evidence, Status, not_tested
from mtlkit.diagnostics.thresholds import HALF_OF_THE_WAY, LEAST_EFFECT
from mtlkit.losses import labelled
from mtlkit.model import MultiTaskModel
from mtlkit.model._outputs import outputs_of
from mtlkit.model.task import Task
from mtlkit.references._inputs import one_array

#: Held-out samples that are scored at most.
_JUDGED = 2000
#: Epochs that a model is trained for whose training is not known.
_EPOCHS = 8


class Bench:
    """A user's model on held-out samples of one task.

    Without validation data, a fifth of the samples is held out, and a fresh copy of the
    model, trained as it was on the others, takes its place: on samples that it was trained
    on, a model cannot be judged.

    Attributes:
        longer: How many times as long as usual copies are trained, if the budget allows it.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        x: Any,
        y: Mapping[str, ArrayLike],
        task: str,
        x_val: Any = None,
        y_val: Mapping[str, ArrayLike] | None = None,
        seed: int = 0,
        budget: float = 60.0,
        longer: float = 1.0,
    ) -> None:
        self.longer = longer
        self.clock = Clock(budget)
        _check_task(model, task)
        self.model, self.seed = model, seed
        self.task: Task = model.tasks[task]
        self.name = task
        self.x = keras.tree.map_structure(np.asarray, x)
        self.y = _labels(y, task, model, "y")
        self.retrained = x_val is None
        rng = np.random.default_rng(seed)
        if x_val is None:
            x_val, y_val = self._hold_out(rng)
            self.model = _trained_again(model, self)
        if y_val is None:
            raise ValueError("Expected y_val with x_val. Received: y_val=None")
        self._judge_on(x_val, _labels(y_val, task, model, "y_val"), rng)
        self.rows = np.flatnonzero(np.asarray(labelled(self.y[task])))
        outputs = self.model.output[task]
        self.score = Score.of(self.task.head, int(np.prod(outputs.shape[1:])), self.y_val)
        self.user = copy_of(self.model)
        self.decoded = self.decode(self.user, self.x_val)
        self.user_rows = self.score.rows(self.decoded, self.y_val)

    @property
    def user_skill(self) -> float:
        """The skill of the user's model on the held-out samples."""
        return float(self.user_rows.mean())

    @property
    def images(self) -> NDArray:
        """The inputs of the backbone, for training; several ones as columns."""
        return one_array(self.model._images(self.x))

    @property
    def val_images(self) -> NDArray:
        """The inputs of the backbone, held out; several ones as columns."""
        return one_array(self.model._images(self.x_val))

    @property
    def reads_one_array(self) -> bool:
        """Whether the backbone has one input; heads may have more."""
        return len(keras.tree.flatten(self.model._images(self.x))) == 1

    def changed(self, x: Any, change: Callable[[NDArray], NDArray]) -> Any:
        """Inputs with the images changed, and nothing else."""
        return self.model._with_images(x, change(np.asarray(self.model._images(x))))

    def decode(self, model: MultiTaskModel, x: Any) -> Mapping[str, NDArray]:
        """What a model predicts for the task, decoded by its own head."""
        return model.tasks[self.name].head.decode(outputs_of(model, x)[self.name])

    def judge(self, model: MultiTaskModel, x_val: Any = None) -> NDArray[np.float64]:
        """The skill of each held-out sample; of other inputs, such as standardised ones."""
        return self.score.rows(
            self.decode(model, self.x_val if x_val is None else x_val), self.y_val
        )

    def gain(self, rows: NDArray, comparisons: int = 1) -> dict[str, Any]:
        """What a remedy gains over the user's model, for the details of evidence."""
        gain, interval = mean_interval(rows - self.user_rows, comparisons=comparisons)
        return {"gain": gain, "gain_interval": interval}

    def alone(self, model: MultiTaskModel) -> None:
        """Sets the task's weight to 1 and all others to 0, but for tasks that it is fed from."""
        kept = {self.name}
        other = self.task.condition_on
        while other is not None:
            kept.add(other)
            other = model.tasks[other].condition_on
        for name, weight in model.task_weights.items():
            if name not in kept:
                weight.assign(0.0)
        model.task_weights[self.name].assign(1.0)

    def evidence(self, name: str, status: Status, text: str, **fields: Any) -> Evidence:
        """Evidence with the unit, the samples and the costs of this bench."""
        fields = {"unit": "skill", "samples": len(self.y_val), **fields}
        if fields["unit"] == "skill" and fields.get("interval") is not None:
            low, high = fields["interval"]
            fields["interval"] = low, min(high, 1 - self.user_skill)  # more cannot be gained
        return Evidence(name, status, text, seconds=self.clock.spent, **fields)

    def not_tested(self, name: str, why: str) -> Evidence:
        """Evidence of what was not measured."""
        return not_tested(name, why)

    def _hold_out(self, rng: np.random.Generator) -> tuple[Any, dict[str, NDArray]]:
        known = np.flatnonzero(np.asarray(labelled(self.y[self.name])))
        held = rng.permutation(known)[: max(1, len(known) // 5)]
        rest = np.setdiff1d(np.arange(len(self.y[self.name])), held)
        x, y = self.x, self.y
        self.x = keras.tree.map_structure(lambda array: array[rest], x)
        self.y = {name: labels[rest] for name, labels in y.items()}
        return (
            keras.tree.map_structure(lambda array: array[held], x),
            {name: labels[held] for name, labels in y.items()},
        )

    def _judge_on(self, x_val: Any, y_val: dict[str, NDArray], rng: np.random.Generator) -> None:
        known = np.flatnonzero(np.asarray(labelled(y_val[self.name])))
        if not len(known):
            raise ValueError(
                f"Task {self.name!r}: expected held-out samples with labels. Received: none"
            )
        chosen = np.sort(rng.permutation(known)[:_JUDGED])
        self.x_val = keras.tree.map_structure(lambda array: np.asarray(array)[chosen], x_val)
        self.y_val = y_val[self.name][chosen]


@dataclass(frozen=True)
class Gap:
    """How far the user's model is from the reference.

    Attributes:
        reference: The skill of the reference.
        user: The skill of the user's model, on the same samples.
        evident: Whether the difference lies beyond the threshold.
        delta: The least effect that matters.
        poor: Whether neither comes half of the way to perfection.
    """

    reference: float
    user: float
    evident: bool
    delta: float
    poor: bool

    @classmethod
    def of(cls, ceiling: Evidence) -> Gap:
        """Reads the evidence of the ceiling probe."""
        details = ceiling.details
        threshold = LEAST_EFFECT if ceiling.threshold is None else ceiling.threshold
        skills = details["reference_skill"], details["user_skill"]
        poor = way_of(max(skills), details.get("metric", "")) < HALF_OF_THE_WAY
        return cls(*skills, ceiling.found, float(threshold), poor)

    @property
    def is_good(self) -> bool:
        """Whether the model is good, as far as is known: other trainings are not worth a trial.

        A model that is as good as a poor reference is compared with other trainings of itself.
        """
        return not (self.evident or self.poor)

    def recovered(self, skill: float) -> float:
        """Which share of the gap a skill recovers; where there is no gap, whether it gains."""
        if not self.evident:
            return float(skill > self.user)
        return (skill - self.user) / max(self.reference - self.user, 1e-6)


def least_gain(
    rows: NDArray, rivals: Iterable[NDArray], comparisons: int = 1
) -> tuple[float, tuple[float, float]]:
    """By how much the skill of samples is ahead of that of the best rival, and the interval."""
    gains = (mean_interval(rows - rival, comparisons=comparisons) for rival in rivals)
    return min(gains, key=lambda found: found[0])


def alone_and_afresh(bench: Bench, rate: float, **changes: Any) -> MultiTaskModel:
    """The user's network with new weights, compiled to train on the task alone by Adam.

    `changes` are fields of the task that are others than the user's.
    """
    changes = {"loss": None, "gradient": "flow", **changes}
    model = fresh_copy(bench.model, bench.seed, **{bench.name: changes})
    model.backbone.trainable = True
    bench.alone(model)
    compiled(model, keras.optimizers.Adam(rate))
    return model


def steps_trained(model: MultiTaskModel) -> int | None:
    """How many steps a model has been trained for; `None` if it is not compiled."""
    optimizer = getattr(model, "optimizer", None)
    return None if optimizer is None else int(keras.ops.convert_to_numpy(optimizer.iterations))


def _trained_again(model: MultiTaskModel, bench: Bench) -> MultiTaskModel:
    """A fresh copy, trained as the model was, for at most a third of the budget."""
    again = compiled_like(fresh_copy(model, bench.seed), model)
    trainer = Trainer(again, bench.x, bench.y)
    steps = steps_trained(model) or _EPOCHS * trainer.steps_of_epoch
    epochs = steps / trainer.steps_of_epoch
    trainer.run(trainer.affordable(bench.clock.budget / 3, epochs), bench.seed)
    return again


def _check_task(model: MultiTaskModel, task: str) -> None:
    if not isinstance(model, MultiTaskModel):
        raise ValueError(f"Expected a mtlkit.MultiTaskModel. Received: model={model!r}")
    if task not in model.tasks:
        raise ValueError(f"Expected a task out of {list(model.tasks)}. Received: task={task!r}")


def _labels(y: Any, task: str, model: MultiTaskModel, what: str) -> dict[str, NDArray]:
    if not isinstance(y, Mapping):
        raise ValueError(
            f"Expected {what} as a dict by task, such as {{{task!r}: ...}}. "
            f"Received: {type(y).__name__}"
        )
    if task not in y:
        raise ValueError(
            f"Expected {what} with labels of the task {task!r}. Received: labels of {list(y)}"
        )
    labels = {name: np.asarray(one) for name, one in y.items() if name in model.tasks}
    model.tasks[task].head.validate_labels(labels[task], task=task)
    return labels
