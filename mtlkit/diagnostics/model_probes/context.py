"""Does the head miss what another task predicts? The model, trained on with and without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from mtlkit._statistics import mean_interval
from mtlkit.diagnostics._effects import status_of
from mtlkit.diagnostics._training.bench import Bench, Gap, least_gain, steps_trained
from mtlkit.diagnostics._training.copies import compiled_like, conditioned_copy, copy_of
from mtlkit.diagnostics._training.trainer import Trainer
from mtlkit.diagnostics._training.trials import steps_on, too_dear
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.model_probes.ceiling import bench_and_ceiling
from mtlkit.diagnostics.thresholds import ENOUGH_STEPS
from mtlkit.losses import labelled
from mtlkit.model import MultiTaskModel
from mtlkit.model._outputs import outputs_of

NAMES = ("head_lacks_context",)
#: Each class of the other task has weights of its own; of more classes, the rows would be few.
_MOST_EXPERTS = 128
#: Training samples of which the other task is asked.
_ASKED = 1000


def probe(
    model: MultiTaskModel,
    x: Any,
    y: Mapping[str, ArrayLike],
    task: str,
    *,
    x_val: Any = None,
    y_val: Mapping[str, ArrayLike] | None = None,
    seed: int = 0,
    budget: float = 60.0,
    longer: float = 1.0,
    ceiling: Evidence | None = None,
    context: Evidence | None = None,
) -> Evidence:
    """Lets the head see what another task predicts, and measures what that gains.

    Two copies of the model are trained on for half as long again, with the user's optimizer and the
    same batches. In one of them the task is conditioned on the other task, by layers that change
    nothing at first. The model's own predictions are seen, never labels.

    It is tried only where references found that the label may mean something only beside the other
    task's (`context`), and where the model is behind a reference, or comes less than half of the
    way to perfection.

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
        context: The evidence `"needs_context"` of the data, which names the other task.

    Returns:
        Evidence `"head_lacks_context"`; the effect is the skill of the conditioned copy minus that
        of the other copy, or of the model, whichever is better.

    Raises:
        ValueError: If the model has no such task, or labels are missing.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl
        from mtlkit.diagnostics import Evidence
        from mtlkit.diagnostics.model_probes import context

        rng = np.random.default_rng(0)
        x, y = rng.random((80, 8, 8, 1), dtype="float32"), {"a": rng.integers(2, size=80)}
        backbone = mtl.backbones.ConvBackbone((8, 8, 1), (4,))
        model = mtl.MultiTaskModel(backbone, mtl.Task("a", mtl.heads.ClassificationHead(2)))
        gap = {"reference_skill": 0.9, "user_skill": 0.1}
        ceiling = Evidence("model_gap", "found", "The model is behind.", details=gap)
        found = context.probe(model, x, y, "a", x_val=x, y_val=y, ceiling=ceiling)
        assert found.status == "not_tested"  # there is no other task
        ```
    """
    (name,) = NAMES
    bench, ceiling = bench_and_ceiling(
        model, x, y, task, x_val, y_val, seed, budget, longer, ceiling
    )
    gap = Gap.of(ceiling)
    other = None if context is None else context.details.get("task")
    why = _why_not(bench, gap, other, context)
    if other is None or why:
        return bench.not_tested(name, why)
    kind = _kind(bench.model, other)
    try:
        conditioned = conditioned_copy(bench.model, task, other, kind, seed)
    except ValueError as error:
        return bench.not_tested(name, f"The head cannot see {other!r}: {error}")
    trainer = _trainer(bench, conditioned)
    steps = steps_on(bench, trainer, bench.clock.left / 2)
    if not steps:
        return bench.not_tested(name, too_dear(trainer))
    trainer.run(steps, seed)
    unchanged = copy_of(bench.model)
    _trainer(bench, unchanged).run(steps, seed)
    rows = {"conditioned": bench.judge(conditioned), "longer": bench.judge(unchanged)}
    effect, interval = least_gain(rows["conditioned"], (rows["longer"], bench.user_rows))
    status = status_of(interval, gap.delta)
    if status == "absent" and steps < ENOUGH_STEPS * (steps_trained(bench.model) or 0):
        status = "unclear"  # too few steps to tell
    skills = {arm: float(found.mean()) for arm, found in rows.items()}
    text = (
        f"Trained on for {steps} steps with a head that sees what is predicted of {other!r}, the "
        f"model reaches {bench.score.text(skills['conditioned'])}; trained on as it is, "
        f"{bench.score.text(skills['longer'])}."
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
            **bench.gain(rows["conditioned"]),
            "recovered": gap.recovered(skills["conditioned"]),
            "steps": steps,
            "scores": {"model": bench.user_skill, **skills, "reference": gap.reference},
            "task": other,
            "code": f'mtl.Task("{task}", head, condition_on="{other}", conditioning="{kind}")',
        },
    )


def _why_not(bench: Bench, gap: Gap, other: str | None, context: Evidence | None) -> str:
    """Why no conditioned head is tried; nothing if it is."""
    if context is None or other is None or context.status not in ("found", "unclear"):
        return "No sign that the label means something only beside another task's."
    if other not in bench.model.tasks or other not in bench.y:
        return f"The model has no task {other!r}, on which the head could be conditioned."
    if bench.task.condition_on is not None:
        return f"The head sees the predictions of {bench.task.condition_on!r} already."
    if steps_trained(bench.model) is None:
        return "The model is not compiled, so it has no optimizer."
    if not _is_read(bench, other):
        return (
            f"The model predicts {other!r} no better than a constant, so nothing can be seen of it."
        )
    if gap.is_good:
        return (
            f"With {bench.score.text(gap.user)} the model is not evidently behind the "
            f"reference's {bench.score.text(gap.reference)}, so no conditioned head was tried."
        )
    return ""


def _is_read(bench: Bench, other: str) -> bool:
    """Whether the model knows the other task, at least of the samples that it was trained on."""
    labels = np.asarray(bench.y[other])
    known = np.flatnonzero(np.asarray(labelled(labels)))
    rows = np.random.default_rng(bench.seed).permutation(known)[:_ASKED]
    x = keras.tree.map_structure(lambda array: array[rows], bench.x)
    decoded = bench.model.tasks[other].head.decode(outputs_of(bench.model, x)[other])
    if "label" not in decoded or not len(rows):
        return False
    right = decoded["label"] == labels[rows]
    constant = np.bincount(labels[known].astype("int64")).max() / len(known)
    _, (low, _) = mean_interval(right.astype("float64") - constant)
    return low > 0


def _kind(model: MultiTaskModel, other: str) -> str:
    classes = getattr(model.tasks[other].head, "num_classes", 0)
    return "experts" if classes <= _MOST_EXPERTS else "bilinear"


def _trainer(bench: Bench, copied: MultiTaskModel) -> Trainer:
    return Trainer(compiled_like(copied, bench.model), bench.x, bench.y, adapt=False)
