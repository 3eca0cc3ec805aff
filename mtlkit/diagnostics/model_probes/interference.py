"""Do the other tasks disturb this one, or starve it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from mtlkit._statistics import mean_interval
from mtlkit.callbacks.interference_monitor import InterferenceMonitor
from mtlkit.diagnostics._effects import status_of
from mtlkit.diagnostics._training.bench import Bench, Gap, steps_trained
from mtlkit.diagnostics._training.copies import compiled_like, fresh_copy, weights_of
from mtlkit.diagnostics._training.trainer import Trainer
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.model_probes._shares import Shares, gradient_shares
from mtlkit.diagnostics.model_probes.ceiling import bench_and_ceiling
from mtlkit.diagnostics.thresholds import ARMS_LEARN, STARVED

NAMES = ("interference", "loss_starvation")
#: Paired seeds; and as many more where the first ones do not tell and the budget allows it.
_SEEDS, _MOST_SEEDS = 3, 6
#: Epochs of each training at most; a small set needs more for as many steps.
_EPOCHS, _ENOUGH_STEPS = 8, 60
#: Steps below which trainings tell nothing.
_LEAST_STEPS = 25
#: Samples that gradients are measured on.
_MEASURED = 128
#: Samples from which on a monitor measures whether gradients conflict.
_MONITORED = 32
#: How often the shares are made equal in the course of a training.
_BALANCED = 4


def probe(
    model: Any,
    x: Any,
    y: Mapping[str, ArrayLike],
    task: str,
    *,
    x_val: Any = None,
    y_val: Mapping[str, ArrayLike] | None = None,
    seed: int = 0,
    budget: float = 110.0,
    longer: float = 1.0,
    ceiling: Evidence | None = None,
) -> tuple[Evidence, ...]:
    """Trains the user's network with all tasks, with this one alone, and with equal shares.

    Each arm starts afresh with the user's optimizer, from the same three seeds, for as many
    steps; from three more if these do not tell. Intervals are t-intervals over the seeds.

    - `"loss_starvation"`: the other tasks' losses are so large that little of the trunk's
      gradient is left to this one. Effect: the skill with weights that make the tasks' shares
      of the gradient equal, minus that with the user's weights. Found only if the task's
      share is less than half of an equal one.
    - `"interference"`: the other tasks disturb this one, whatever their weights. Effect: the
      skill of the task alone minus the better of the two others.

    Where the model is as good as the reference and comes half of the way to perfection, where it
    has one task, or where no other task's gradient reaches the trunk, nothing is trained.

    Whether gradients conflict where tasks meet, beyond noise, is measured by a
    `mtlkit.balancing.InterferenceMonitor` while all tasks are trained. It explains, but it decides
    nothing: a conflict is no proof of harm.

    Args:
        model: The user's model; it is not changed.
        x: Training inputs.
        y: Their labels by task.
        task: Name of the task.
        x_val: Inputs that the model was not trained on.
        y_val: Their labels by task.
        seed: The first of the seeds.
        budget: CPU-seconds to spend at most.
        longer: How many times as long as usual copies are trained, if the budget allows it.
        ceiling: What the ceiling probe found. `None`: it is run first, for a third of the
            budget.

    Returns:
        Evidence on `"interference"` and `"loss_starvation"`.

    Raises:
        ValueError: If the model has no such task, or labels are missing.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl
        from mtlkit.diagnostics import Evidence
        from mtlkit.diagnostics.model_probes import interference

        rng = np.random.default_rng(0)
        x, y = rng.random((80, 8, 8, 1), dtype="float32"), {"a": rng.integers(2, size=80)}
        backbone = mtl.backbones.ConvBackbone((8, 8, 1), (4,))
        model = mtl.MultiTaskModel(backbone, mtl.Task("a", mtl.heads.ClassificationHead(2)))
        details = {"reference_skill": 0.5, "user_skill": 0.1}
        gap = Evidence("model_gap", "found", "The model is behind.", details=details)
        found = interference.probe(model, x, y, "a", x_val=x, y_val=y, ceiling=gap)
        assert [one.status for one in found] == ["absent", "absent"]
        ```
    """
    bench, ceiling = bench_and_ceiling(
        model, x, y, task, x_val, y_val, seed, budget, longer, ceiling
    )
    gap = Gap.of(ceiling)
    why = _nothing_to_try(bench, gap)
    if why:
        if len(bench.model.tasks) == 1:
            return tuple(bench.evidence(name, "absent", why) for name in NAMES)
        return tuple(bench.not_tested(name, why) for name in NAMES)
    if steps_trained(bench.model) is None:
        why = "The model is not compiled, so it has no optimizer."
        return tuple(bench.not_tested(name, why) for name in NAMES)
    shares = _shares(bench, bench.user)
    fresh_shares = _shares(bench, fresh_copy(bench.model, seed))
    if not any(fresh_shares.norms[name] for name in fresh_shares.norms if name != task):
        why = "No other task's gradient reaches the trunk, so none can disturb this one."
        return tuple(bench.evidence(name, "absent", why) for name in NAMES)
    arms = _Arms()
    why = _train(bench, arms, gap.delta)
    if why:
        return tuple(bench.not_tested(name, why) for name in NAMES)
    found = _Found(bench, gap, arms, shares, fresh_shares)
    return found.interference(), found.starvation()


def _nothing_to_try(bench: Bench, gap: Gap) -> str:
    if len(bench.model.tasks) == 1:
        return "The model has no other task."
    if gap.is_good:
        return (
            f"With {bench.score.text(gap.user)} the model is not evidently behind the "
            f"reference's {bench.score.text(gap.reference)}, so no other task harms it."
        )
    return ""


@dataclass
class _Arms:
    """The skills of three arms, by seed."""

    all_tasks: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    equal: list[float] = field(default_factory=list)
    steps: int = 0
    pairs: list[dict[str, Any]] = field(default_factory=list)

    def difference(self, one: str, other: str) -> tuple[float, tuple[float, float]]:
        """The mean of the paired differences of two arms, and its interval."""
        pairs = zip(getattr(self, one), getattr(self, other), strict=False)
        return mean_interval([a - b for a, b in pairs])

    def disturbed(self) -> tuple[float, tuple[float, float]]:
        """What the task gains alone, beyond the better of the two other arms."""
        rivals = ("all_tasks", "equal")
        return min(
            (self.difference("alone", rival) for rival in rivals), key=lambda found: found[0]
        )

    def starved(self) -> tuple[float, tuple[float, float]]:
        """What the task gains from equal shares."""
        return self.difference("equal", "all_tasks")

    def tell(self, threshold: float) -> bool:
        """Whether both effects are clear."""
        effects = (self.disturbed(), self.starved())
        return all(status_of(interval, threshold) != "unclear" for _, interval in effects)


def _train(bench: Bench, arms: _Arms, threshold: float) -> str:
    """Fills the arms; returns why it could not, or an empty text."""
    trainer = Trainer(
        compiled_like(fresh_copy(bench.model, bench.seed), bench.model), bench.x, bench.y
    )
    # Three trainings a seed; and the rest of the budget for what surrounds them.
    epochs = bench.longer * max(_EPOCHS, _ENOUGH_STEPS / trainer.steps_of_epoch)
    seconds = 0.85 * bench.clock.left
    arms.steps = trainer.affordable(seconds / (3 * _SEEDS), epochs)
    if arms.steps < _LEAST_STEPS:
        return f"A step takes {trainer.seconds:.2g} CPU-seconds, too long for the budget."
    affordable = int(seconds / (3 * arms.steps * trainer.seconds))
    for number in range(max(_SEEDS, min(_MOST_SEEDS, affordable))):
        if number == _SEEDS and arms.tell(threshold):
            break
        seed = bench.seed + number
        weights = weights_of(fresh_copy(bench.model, seed))
        trainer.restart(weights)
        monitor = None if number else _monitor(bench, arms.steps)
        trainer.run(arms.steps, seed, callback=monitor)
        if monitor is not None:
            arms.pairs = [
                row for row in monitor.table() if bench.name in (row["first"], row["second"])
            ]
        arms.all_tasks.append(float(bench.judge(trainer.model).mean()))
        trainer.restart(weights)
        bench.alone(trainer.model)
        trainer.run(arms.steps, seed)
        arms.alone.append(float(bench.judge(trainer.model).mean()))
        trainer.restart(weights)
        _run_balanced(bench, trainer, arms.steps, seed)
        arms.equal.append(float(bench.judge(trainer.model).mean()))
    return ""


def _run_balanced(bench: Bench, trainer: Trainer, steps: int, seed: int) -> None:
    """Trains in parts, before each of which the shares are made equal."""
    parts = min(_BALANCED, steps)
    for number, part in enumerate(np.array_split(np.arange(steps), parts)):
        for name, weight in _shares(bench, trainer.model).equal_weights(bench.name).items():
            trainer.model.task_weights[name].assign(weight)
        # Other batches in each part; the same number of steps in all.
        trainer.run(len(part), seed + 1000 * number)


def _monitor(bench: Bench, steps: int) -> InterferenceMonitor | None:
    """Measures at the quarters of a training; `None` where there are too few samples for it."""
    if len(keras.tree.flatten(bench.x)[0]) < _MONITORED:
        return None
    every = max(1, steps // 4)
    return InterferenceMonitor(bench.x, bench.y, every=every, verbose=0, seed=bench.seed)


def _shares(bench: Bench, model: Any) -> Shares:
    rows = np.random.default_rng(bench.seed).permutation(bench.rows)[:_MEASURED]
    x = keras.tree.map_structure(lambda array: array[rows], bench.x)
    return gradient_shares(model, x, {name: labels[rows] for name, labels in bench.y.items()})


def _of_pairs(pairs: list[dict[str, Any]], task: str) -> str:
    """What the gradients say, in a sentence."""
    if not pairs:
        return ""
    known = [row for row in pairs if row["verdict"] != "no claim"]
    conflicts = [
        f"{row['second'] if row['first'] == task else row['first']!r} at {row['place']!r} "
        f"(cosine {row['cosine']:+.2f}, {row['low']:+.2f} to {row['high']:+.2f})"
        for row in known
        if row["verdict"] == "conflict"
    ]
    if conflicts:
        return f" Its gradient conflicts with that of {', of '.join(conflicts)}."
    if known:
        return " Its gradient conflicts with no other task's beyond noise."
    return " Nothing is said of conflicts: it shares too few labelled samples with other tasks."


@dataclass(frozen=True)
class _Found:
    """What the arms say."""

    bench: Bench
    gap: Gap
    arms: _Arms
    shares: Shares
    fresh_shares: Shares

    def interference(self) -> Evidence:
        arms, bench = self.arms, self.bench
        effect, interval = arms.disturbed()
        means = self._means()
        text = (
            f"Trained alone for {arms.steps} steps the task reaches "
            f"{bench.score.text(means['alone'])}, with all tasks "
            f"{bench.score.text(means['all tasks'])}, with equal shares of the gradient "
            f"{bench.score.text(means['equal shares'])} (means of {len(arms.alone)} seeds)."
            f"{_of_pairs(arms.pairs, bench.name)}"
        )
        code = f'mtl.Task("...", head, gradient="stop")  # for tasks other than {bench.name!r}'
        return self._evidence("interference", text, effect, interval, code)

    def starvation(self) -> Evidence:
        arms, bench = self.arms, self.bench
        effect, interval = arms.starved()
        means = self._means()
        share = self._share
        text = (
            f"The task has {100 * share:.2g} % of the trunk's gradient; equal shares take it from "
            f"{bench.score.text(means['all tasks'])} to "
            f"{bench.score.text(means['equal shares'])} in {arms.steps} steps."
        )
        equal = self.fresh_shares.equal_weights(bench.name)
        code = "\n".join(
            f'model.task_weights["{name}"].assign({weight:.3g})' for name, weight in equal.items()
        )
        found = self._evidence("loss_starvation", text, effect, interval, code)
        if found.found and self._share_of_equal > STARVED:
            return bench.evidence(
                "loss_starvation",
                "absent",
                text,
                effect=effect,
                interval=interval,
                null=0.0,
                threshold=found.threshold,
                details=found.details,
            )
        return found

    @property
    def _share(self) -> float:
        """The task's share at the start: once others are learned, theirs shrinks."""
        return self.fresh_shares.shares.get(self.bench.name, 0.0)

    @property
    def _share_of_equal(self) -> float:
        return self._share * len(self.shares.norms)

    def _means(self) -> dict[str, float]:
        return {
            "all tasks": float(np.mean(self.arms.all_tasks)),
            "alone": float(np.mean(self.arms.alone)),
            "equal shares": float(np.mean(self.arms.equal)),
        }

    def _evidence(
        self, name: str, text: str, effect: float, interval: tuple[float, float], code: str
    ) -> Evidence:
        bench, arms = self.bench, self.arms
        status = status_of(interval, self.gap.delta)
        best = max(self._means().values())
        few = status == "absent" and self.gap.recovered(best) < ARMS_LEARN
        if few or best < self.gap.delta:
            status = "unclear"  # too little was learned in so few steps
        return bench.evidence(
            name,
            status,
            text,
            effect=effect,
            interval=interval,
            null=0.0,
            threshold=self.gap.delta,
            details={
                "gain": effect,
                "gain_interval": interval,
                "code": code,
                "scores": {
                    "model": bench.user_skill,
                    **self._means(),
                    "reference": self.gap.reference,
                },
                "by_seed": {
                    "all tasks": arms.all_tasks,
                    "alone": arms.alone,
                    "equal shares": arms.equal,
                },
                "steps": arms.steps,
                "reach": best,
                "share_of_equal": self._share_of_equal,
                "shares": self.shares.shares,
                "shares_at_start": self.fresh_shares.shares,
                "pairs": arms.pairs,
            },
        )
