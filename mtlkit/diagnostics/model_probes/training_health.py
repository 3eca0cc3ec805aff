"""Is it the training? Longer, at other rates, with another loss, on standardised inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from numpy.typing import ArrayLike

from mtlkit._statistics import mean_interval
from mtlkit.diagnostics._effects import status_of
from mtlkit.diagnostics._training.bench import Bench, Gap, steps_trained
from mtlkit.diagnostics._training.copies import compiled, compiled_like, copy_of
from mtlkit.diagnostics._training.trainer import Trainer
from mtlkit.diagnostics._training.trials import Trials, steps_on, too_dear
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.model_probes._input_scale import input_scale
from mtlkit.diagnostics.model_probes._mismatch import loss_mismatch
from mtlkit.diagnostics.model_probes.ceiling import bench_and_ceiling
from mtlkit.diagnostics.thresholds import ENOUGH_STEPS, RECOVERED
from mtlkit.model import MultiTaskModel

NAMES = ("under_trained", "optimizer", "loss_mismatch", "input_scale")
#: Shares of the budget of what is tried, in this order. What does not apply takes no time, and
#: leaves it to the others.
_SHARES = {"input_scale": 0.8, "loss_mismatch": 0.45, "under_trained": 0.2, "optimizer": 1.0}
#: A rate that suits most networks.
_RATE = 1e-3


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
    longer: float = 1.0,
    ceiling: Evidence | None = None,
) -> tuple[Evidence, ...]:
    """Changes one thing about the training at a time, and measures what it gains.

    Where the model is as good as the reference, and comes half of the way to perfection, it is
    only trained on. Otherwise:

    - `"under_trained"`: a copy is trained on as it was, for half as long again. Effect: its
      skill minus the model's.
    - `"optimizer"`: from a fresh start, the user's optimizer at a tenth and at ten times its
      rate, and Adam at 0.001. Effect: the skill of the best minus that of the user's settings
      after as many steps from the same start, or minus the model's, whichever is less.
    - `"loss_mismatch"`: see `mtlkit.diagnostics.model_probes._mismatch`.
    - `"input_scale"`: see `mtlkit.diagnostics.model_probes._input_scale`. It is tried first, but
      not where the inputs reach the first layer standardised.

    A cause is found if the interval of its effect lies beyond the threshold and the remedy
    recovers at least half of the gap to the reference, if there is one. Standardised inputs have to
    recover nothing in the user's own training, where another cause may be in the way.

    Args:
        model: The user's model; it is not changed.
        x: Training inputs.
        y: Their labels by task.
        task: Name of the task.
        x_val: Inputs that the model was not trained on.
        y_val: Their labels by task.
        seed: Seed of all trainings.
        budget: CPU-seconds to spend at most.
        longer: How many times as long as usual copies are trained, if the budget allows it.
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
        from mtlkit.diagnostics.model_probes import training_health

        rng = np.random.default_rng(0)
        x, y = rng.random((80, 8, 8, 1), dtype="float32"), {"a": rng.integers(2, size=80)}
        backbone = mtl.backbones.ConvBackbone((8, 8, 1), (4,))
        model = mtl.MultiTaskModel(backbone, mtl.Task("a", mtl.heads.ClassificationHead(2)))
        same = {"reference_skill": 0.5, "user_skill": 0.5}
        gap = Evidence("model_gap", "absent", "The model is as good as can be.", details=same)
        found = training_health.probe(model, x, y, "a", x_val=x, y_val=y, ceiling=gap)
        assert [one.status for one in found][1:] == ["not_tested"] * 3
        ```
    """
    bench, ceiling = bench_and_ceiling(
        model, x, y, task, x_val, y_val, seed, budget, longer, ceiling
    )
    gap = Gap.of(ceiling)
    why = ""
    if gap.is_good:
        why = (
            f"With {bench.score.text(gap.user)} the model is not evidently behind the "
            f"reference's {bench.score.text(gap.reference)}, so no other training was tried."
        )
    measures = {
        "input_scale": input_scale,
        "loss_mismatch": loss_mismatch,
        "under_trained": _under_trained,
        "optimizer": _optimizer,
    }
    found: dict[str, Evidence] = {}
    for name, share in _SHARES.items():
        seconds = bench.clock.left * share
        if why and name != "under_trained":
            found[name] = bench.not_tested(name, why)
        elif name != "loss_mismatch" and steps_trained(bench.model) is None:
            found[name] = bench.not_tested(
                name, "The model is not compiled, so it has no optimizer."
            )
        else:
            found[name] = measures[name](bench, gap, seconds)
    return tuple(found[name] for name in NAMES)


def _under_trained(bench: Bench, gap: Gap, seconds: float) -> Evidence:
    """Trains a copy on, as it was trained."""
    name = "under_trained"
    copied = compiled_like(copy_of(bench.model), bench.model)
    trainer = Trainer(copied, bench.x, bench.y, adapt=False)
    done = steps_trained(bench.model) or 0
    steps = steps_on(bench, trainer, seconds)
    if not steps:
        return bench.not_tested(name, too_dear(trainer))
    trainer.run(steps, bench.seed)
    rows = bench.judge(copied)
    skill = float(rows.mean())
    effect, interval = mean_interval(rows - bench.user_rows)
    status = status_of(interval, gap.delta)
    if status == "found" and gap.recovered(skill) < RECOVERED:
        status = "unclear"  # it helps, but something else is in the way
    if status == "absent" and steps < ENOUGH_STEPS * done:
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
            "gain_interval": interval,
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
        return bench.not_tested("optimizer", trials.why)
    inner = getattr(bench.model.optimizer, "inner_optimizer", bench.model.optimizer)
    kind, value = ("Adam", _RATE) if best == adam else (type(inner).__name__, codes[best])
    return trials.evidence(
        "optimizer",
        f"with {best}",
        code=f"model.compile(keras.optimizers.{kind}({value:g}))  # and train from new weights",
        learning_rate=rate,
        rate_too_low=value > rate,
    )


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
