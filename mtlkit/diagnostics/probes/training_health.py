"""Is it the training? Longer, at other rates, with another loss, on standardised inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
from numpy.typing import ArrayLike, NDArray

from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.probes.bench import Bench, Gap, steps_trained
from mtlkit.diagnostics.probes.ceiling import bench_and_ceiling
from mtlkit.diagnostics.probes.copies import (
    compiled,
    compiled_like,
    copy_of,
    fresh_copy,
)
from mtlkit.diagnostics.probes.inputs import Standardised, is_standardised
from mtlkit.diagnostics.probes.intervals import mean_interval, status_of
from mtlkit.diagnostics.probes.mismatch import loss_mismatch
from mtlkit.diagnostics.probes.training import Trainer
from mtlkit.model import MultiTaskModel

NAMES = ("under_trained", "optimizer", "loss_mismatch", "input_scale")
#: Shares of the budget of each part; a loss of the user's own is the first suspect.
_SHARES = {"under_trained": 0.15, "optimizer": 0.15, "loss_mismatch": 0.4, "input_scale": 0.3}
#: The part of the budget of `"input_scale"` for each training on the task alone.
_ALONE = 0.2
#: How much longer to train, as a share of the training so far; and at least, in epochs and steps.
_LONGER, _LEAST_EPOCHS, _LEAST_STEPS = 0.5, 2, 100
#: Epochs of a fresh start at most, with all tasks and on the task alone.
_EPOCHS, _EPOCHS_ALONE = 8, 16
#: The share of the gap to the reference that a remedy has to recover. Standardised inputs have to
#: recover less: what raw ones spoil, a poor head often spoils, too.
_RECOVERED, _RECOVERED_BY_SCALE = 0.5, 1 / 3
#: A rate that suits most networks, and one that does if it falls to zero.
_RATE, _DECAYED_RATE = 1e-3, 2e-3


def probe(
    model: MultiTaskModel,
    x: Any,
    y: Mapping[str, ArrayLike],
    task: str,
    *,
    x_val: Any = None,
    y_val: Mapping[str, ArrayLike] | None = None,
    seed: int = 0,
    budget: float = 120.0,
    ceiling: Evidence | None = None,
) -> tuple[Evidence, ...]:
    """Changes one thing about the training at a time, and measures what it gains.

    Where the model is as good as the reference there is nothing to explain, and nothing is
    trained. Otherwise:

    - `"under_trained"`: a copy is trained on as it was, for half as long again. Effect: its
      skill minus the model's.
    - `"optimizer"`: from a fresh start, the user's optimizer at a tenth and at ten times its
      rate, and Adam at 0.001. Effect: the skill of the best minus that of the user's settings
      after as many steps from the same start, or minus the model's, whichever is less.
    - `"loss_mismatch"`: see `mtlkit.diagnostics.probes.mismatch`.
    - `"input_scale"`: from a fresh start on the task alone, with standardised inputs. Effect:
      its skill minus that on the inputs as they are, or minus the model's, whichever is less.
      If they are better by too little, the user's own training is repeated with standardised
      inputs, and the effect is its skill minus the model's. Not tried where the inputs reach
      the first layer standardised.

    A cause is found if the interval of its effect lies beyond the threshold and the remedy
    recovers at least half of the gap to the reference. Standardised inputs have to recover a
    third; nothing, in the user's own training, where another cause may be in the way.

    Args:
        model: The user's model; it is not changed.
        x: Training inputs.
        y: Their labels by task.
        task: Name of the task.
        x_val: Inputs that the model was not trained on.
        y_val: Their labels by task.
        seed: Seed of all trainings.
        budget: CPU-seconds to spend at most.
        ceiling: What the ceiling probe found. `None`: it is run first, for a third of the
            budget.

    Returns:
        Evidence on `"under_trained"`, `"optimizer"`, `"loss_mismatch"`, `"input_scale"`.

    Raises:
        ValueError: If the model has no such task, or labels are missing.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl
        from mtlkit.diagnostics import Evidence
        from mtlkit.diagnostics.probes import training_health

        rng = np.random.default_rng(0)
        x, y = rng.random((80, 8, 8, 1), dtype="float32"), {"a": rng.integers(2, size=80)}
        backbone = mtl.backbones.ConvBackbone((8, 8, 1), (4,))
        model = mtl.MultiTaskModel(backbone, mtl.Task("a", mtl.heads.ClassificationHead(2)))
        same = {"reference_skill": 0.5, "user_skill": 0.5}
        gap = Evidence("model_gap", "absent", "The model is as good as can be.", details=same)
        found = training_health.probe(model, x, y, "a", x_val=x, y_val=y, ceiling=gap)
        assert [one.status for one in found] == ["absent"] * 4
        ```
    """
    bench, ceiling = bench_and_ceiling(model, x, y, task, x_val, y_val, seed, budget, ceiling)
    gap = Gap.of(ceiling)
    if not gap.evident:
        why = (
            f"With {bench.score.text(gap.user)} the model is not evidently behind the "
            f"reference's {bench.score.text(gap.reference)}, so its training was not questioned."
        )
        status = "absent" if ceiling.status == "absent" else "unclear"
        return tuple(bench.evidence(name, status, why) for name in NAMES)
    measures = {
        "under_trained": _under_trained,
        "loss_mismatch": loss_mismatch,
        "input_scale": _input_scale,
        "optimizer": _optimizer,
    }
    found: dict[str, Evidence] = {}
    left = 1.0
    for name, measure in measures.items():
        seconds = bench.clock.left * _SHARES[name] / left
        left -= _SHARES[name]
        needs_optimizer = name != "loss_mismatch"
        if needs_optimizer and steps_trained(bench.model) is None:
            found[name] = bench.skipped(name, "The model is not compiled, so it has no optimizer.")
        else:
            found[name] = measure(bench, gap, seconds)
    return tuple(found[name] for name in NAMES)


def _under_trained(bench: Bench, gap: Gap, seconds: float) -> Evidence:
    """Trains a copy on, as it was trained."""
    name = "under_trained"
    copied = compiled_like(copy_of(bench.model), bench.model)
    trainer = Trainer(copied, bench.x, bench.y)
    done = steps_trained(bench.model) or 0
    wanted = max(_LONGER * done, _LEAST_EPOCHS * trainer.steps_of_epoch, _LEAST_STEPS)
    steps = trainer.affordable(seconds, wanted / trainer.steps_of_epoch)
    if not steps:
        return bench.skipped(name, _too_dear(trainer))
    trainer.run(steps, bench.seed)
    rows = bench.judge(copied)
    skill = float(rows.mean())
    effect, interval = mean_interval(rows - bench.user_rows)
    status = status_of(interval, gap.delta)
    if status == "found" and gap.recovered(skill) < _RECOVERED:
        status = "unclear"  # it helps, but something else is in the way
    if status == "absent" and steps < 0.2 * done:
        status = "unclear"  # too few steps to tell
    text = (
        f"Training on for {steps} steps, after {done}, takes the model from "
        f"{bench.score.text(bench.user_skill)} to {bench.score.text(skill)}."
    )
    return bench.evidence(
        name,
        status,
        text,
        effect=effect,
        interval=interval,
        null=0.0,
        threshold=gap.delta,
        details={
            "gain": effect,
            "recovered": gap.recovered(skill),
            "steps": steps,
            "steps_before": done,
            "scores": {"model": bench.user_skill, "longer": skill, "reference": gap.reference},
            "code": "model.fit(x, y, epochs=...)  # for longer, until the validation score rests",
        },
    )


def _optimizer(bench: Bench, gap: Gap, seconds: float) -> Evidence:
    """Tries other rates, and Adam, from a fresh start."""
    rate = _rate(bench.model)
    adam = f"Adam at {_RATE:g}"
    codes = {f"rate {rate * factor:.3g}": (rate * factor) for factor in (0.1, 10.0)}
    settings: dict[str, Any] = {
        name: (lambda one, rate=rate: compiled_like(one, bench.model, rate))
        for name, rate in codes.items()
    }
    if not _is_adam(bench.model) or not 0.5 <= rate / _RATE <= 2:
        settings[adam] = lambda one: compiled(one, keras.optimizers.Adam(_RATE))
    trials = Trials(bench, gap, seconds / (len(settings) + 1))
    for name, setting in settings.items():
        trials.run(name, setting)
    trials.confirm(lambda one: compiled_like(one, bench.model))
    best = trials.best
    if best is None:
        return bench.skipped("optimizer", trials.why)
    inner = getattr(bench.model.optimizer, "inner_optimizer", bench.model.optimizer)
    kind, value = ("Adam", _RATE) if best == adam else (type(inner).__name__, codes[best])
    return trials.evidence(
        "optimizer",
        f"with {best}",
        code=f"model.compile(keras.optimizers.{kind}({value:g}))",
        learning_rate=rate,
        rate_too_low=value > rate,
    )


def _input_scale(bench: Bench, gap: Gap, seconds: float) -> Evidence:
    """Tries standardised inputs, from a fresh start."""
    if is_standardised(bench.user, bench.images):
        text = "The inputs reach the first layer standardised."
        return bench.evidence("input_scale", "absent", text)
    if isinstance(bench.x, Mapping):
        return bench.skipped("input_scale", "The model has several inputs.")
    standardised = Standardised.of(bench.images)
    details: dict[str, Any] = {
        "code": "backbone = mtl.backbones.ConvBackbone(..., normalize=True)  # adapted by fit",
        "mean": float(bench.images.mean()),
        "deviation": float(bench.images.std()),
    }
    remedy = "with standardised inputs"
    recipe = lambda one: compiled(one, keras.optimizers.Adam(_DECAYED_RATE))  # noqa: E731
    alone = Trials(bench, gap, _ALONE * seconds, alone=True, recovered=_RECOVERED_BY_SCALE)
    alone.run("standardised inputs", recipe, standardised)
    alone.confirm(recipe)
    if alone.best is None:
        return bench.skipped("input_scale", alone.why)
    found = alone.evidence("input_scale", f"{remedy}, on the task alone,", **details)
    if found.found or alone.twin is None or (found.interval or (0, 0))[0] <= 0:
        return found
    # Better, but not by much. Beside other tasks, and at the user's rate, it may matter more.
    rest, steps = seconds * (1 - 2 * _ALONE), steps_trained(bench.model)
    own = Trials(bench, gap, rest, recovered=0.0, steps=steps)
    own.run("standardised inputs", lambda one: compiled_like(one, bench.model), standardised)
    if own.best is None:
        return found
    again = own.evidence("input_scale", f"{remedy}, trained as the model was,", **details)
    if not again.found:
        return found
    return replace(again, text=f"{again.text} {found.text}")


class Trials:
    """Fresh starts with one thing changed, and the same start as the user has it.

    The latter, the twin, is trained only if one of the others beats the user's model: where
    none does, none is a remedy.

    Args:
        bench: The user's model and data.
        gap: The gap to the reference.
        seconds: CPU-seconds of each trial.
        alone: Whether the task is trained alone, with its head's own loss and a rate that falls
            to zero, which learns faster; otherwise with all tasks, as the user does.
        recovered: The share of the gap that a remedy has to recover.
        steps: Steps of each trial, if the budget allows so many. `None`: some epochs.
    """

    def __init__(
        self,
        bench: Bench,
        gap: Gap,
        seconds: float,
        alone: bool = False,
        recovered: float = _RECOVERED,
        steps: int | None = None,
    ) -> None:
        self.bench = bench
        self.alone = alone
        self.recovered = recovered
        self.gap = gap
        self.seconds = seconds
        self.rows: dict[str, NDArray] = {}
        self.twin: NDArray | None = None
        self.wanted = steps
        self.steps: int | None = None
        self.why = ""

    @property
    def best(self) -> str | None:
        """The name of the best trial."""
        return max(self.rows, key=lambda name: self.rows[name].mean(), default=None)

    def run(self, name: str, setting: Any, inputs: Standardised | None = None) -> None:
        """Trains a fresh copy with a setting that compiles it."""
        rows = self._trained(setting, inputs)
        if rows is not None:
            self.rows[name] = rows

    def confirm(self, setting: Any) -> None:
        """Trains the twin, if a trial beats the user's model by what matters."""
        if self.best is None:
            return
        effect, _ = mean_interval(self.rows[self.best] - self.bench.user_rows)
        if effect > self.gap.delta:
            self.twin = self._trained(setting, None)

    def evidence(self, name: str, remedy: str, code: str, **details: Any) -> Evidence:
        """Judges the best trial."""
        bench, gap = self.bench, self.gap
        best = self.rows[self.best or ""]
        skill = float(best.mean())
        against = [bench.user_rows] + ([] if self.twin is None else [self.twin])
        effect, interval = min(
            (mean_interval(best - other, len(self.rows)) for other in against),
            key=lambda found: found[0],
        )
        status = status_of(interval, gap.delta)
        if status == "found" and gap.recovered(skill) < self.recovered:
            status = "unclear"  # it helps, but something else is in the way
        text = (
            f"A fresh start {remedy} reaches {bench.score.text(skill)} after {self.steps} steps; "
            f"the model has {bench.score.text(bench.user_skill)}"
        )
        if self.twin is not None:
            text += f", and {bench.score.text(float(self.twin.mean()))} when started anew, too"
        scores = {key: float(rows.mean()) for key, rows in self.rows.items()}
        if self.twin is not None:
            scores["as it is"] = float(self.twin.mean())
        return bench.evidence(
            name,
            status,
            text + ".",
            effect=effect,
            interval=interval,
            null=0.0,
            threshold=gap.delta,
            details={
                "gain": skill - bench.user_skill,
                "recovered": gap.recovered(skill),
                "steps": self.steps,
                "scores": {"model": bench.user_skill, **scores, "reference": gap.reference},
                "code": code,
                **details,
            },
        )

    def _trained(self, setting: Any, inputs: Standardised | None) -> NDArray | None:
        bench = self.bench
        changes = {bench.name: {"loss": None}} if self.alone else {}
        model = fresh_copy(bench.model, bench.seed, **changes)
        if self.alone:
            bench.alone(model)
        setting(model)
        x = bench.x if inputs is None else inputs(bench.x)
        trainer = Trainer(model, x, bench.y, bench.rows if self.alone else None)
        if self.steps is None:
            most = _EPOCHS_ALONE if self.alone else _EPOCHS
            wanted = self.wanted or most * trainer.steps_of_epoch
            epochs = max(wanted, _LEAST_STEPS) / trainer.steps_of_epoch
            self.steps = trainer.affordable(self.seconds, epochs) or None
        if self.steps is None:
            self.why = _too_dear(trainer)
            return None
        trainer.run(self.steps, bench.seed, decay=self.alone)
        return bench.judge(model, None if inputs is None else inputs(bench.x_val))


def _too_dear(trainer: Trainer) -> str:
    return f"A step takes {trainer.seconds:.2g} CPU-seconds, too long for the budget."


def _rate(model: MultiTaskModel) -> float:
    """The learning rate of the user; of a schedule, the first one."""
    inner: Any = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    schedule = getattr(inner, "_learning_rate", None)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return float(keras.ops.convert_to_numpy(schedule(0)))
    return float(keras.ops.convert_to_numpy(inner.learning_rate))


def _is_adam(model: MultiTaskModel) -> bool:
    inner: Any = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return isinstance(inner, keras.optimizers.Adam)
