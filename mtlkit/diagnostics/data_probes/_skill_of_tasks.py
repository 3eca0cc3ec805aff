"""How much better each task is than what needs no learning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mtlkit.diagnostics._checks import checked_inputs
from mtlkit.diagnostics._effects import status_of
from mtlkit.diagnostics._training.copies import copy_of
from mtlkit.diagnostics._training.score import Score
from mtlkit.diagnostics.data_probes._samples import checked_labels, prepared, timed
from mtlkit.diagnostics.evidence import Evidence, not_tested
from mtlkit.diagnostics.thresholds import LEAST_SKILL
from mtlkit.metrics._labels import is_labelled
from mtlkit.metrics.skill import Skill, accuracy_skill, mae_skill
from mtlkit.metrics.skill import skill as skill_of
from mtlkit.model import MultiTaskModel
from mtlkit.model._outputs import outputs_of
from mtlkit.model.task import Task
from mtlkit.references.reference import Reference


@timed
def skill_of_tasks(
    x: ArrayLike,
    y: Mapping[str, ArrayLike],
    *,
    task: str | None = None,
    predictions: Mapping[str, ArrayLike] | None = None,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Scores every task beside chance, or beside the best constant prediction.

    Args:
        x: Images.
        y: Labels by task. Another task of which some are missing is not scored, and named.
        task: The task that the evidence is about. `None`: the one with the least skill.
        predictions: Predicted classes or values by task, for samples that the model was not
            fitted to. A task that is left out is predicted by the reference.
        reference: A reference of the same images, whose features are shared.
        seed: Seed of a new reference.

    Returns:
        Evidence `"skill"`; the effect is the share of the way from the baseline to perfection.
        `"found"`: the task has skill; `"absent"`: it has none.

    Raises:
        ValueError: If images, labels or predictions are not valid, or the task is unknown.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import skill_of_tasks

        rng = np.random.default_rng(0)
        y = {"top": rng.integers(2, size=200), "noise": rng.integers(2, size=200)}
        x = 0.1 * rng.random((200, 12, 12, 1), dtype="float32")
        x[y["top"] == 1, :6] += 1
        assert skill_of_tasks(x, y, task="top").found
        assert not skill_of_tasks(x, y).found
        ```
    """
    images = checked_inputs(x)
    if not y or (task is not None and task not in y):
        raise ValueError(
            f"Expected labels of task '{task}'. Received: labels of {sorted(map(str, y))}"
        )
    skills: dict[str, Skill] = {}
    reasons: dict[str, str] = {}
    by: dict[str, str] = {}
    for name, given in y.items():
        there = is_labelled(given)
        if task not in (None, name) and not there.all():
            reasons[name] = f"Of {there.size} samples, {there.sum()} have a label of {name!r}."
            continue
        labels = checked_labels(given, len(images), str(name))
        if predictions is not None and name in predictions:
            skills[name], by[name] = skill_of(labels, predictions[name], task=name), "the model"
            continue
        ready = prepared("skill", images, labels, reference, seed, classes_only=False)
        if isinstance(ready, Evidence):
            reasons[name] = ready.text
            continue
        reference = ready if reference is None else reference
        skills[name], by[name] = _of_reference(ready, name), "the reference"
    if not skills or (task is not None and task not in skills):
        return not_tested("skill", " ".join(reasons.values()))
    return _evidence(skills, reasons, by, task)


@timed
def skill_of_model(
    model: MultiTaskModel, x_val: Any, y_val: Mapping[str, ArrayLike], task: str
) -> Evidence:
    """Scores every task of a model beside chance, or beside the best constant prediction.

    Args:
        model: The user's model; it is not changed.
        x_val: Inputs that it was not trained on.
        y_val: Their labels by task; missing ones are not counted.
        task: The task that the evidence is about.

    Returns:
        Evidence `"skill"`, as that of `skill_of_tasks`.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl
        from mtlkit.diagnostics.data_probes import skill_of_model

        rng = np.random.default_rng(0)
        x, y = rng.random((80, 8, 8, 1), dtype="float32"), {"a": rng.integers(2, size=80)}
        backbone = mtl.backbones.ConvBackbone((8, 8, 1), (4,))
        model = mtl.MultiTaskModel(backbone, mtl.Task("a", mtl.heads.ClassificationHead(2)))
        assert skill_of_model(model, x, y, "a").details["tasks"]["a"]["by"] == "the model"
        ```
    """
    outputs = outputs_of(copy_of(model), x_val)
    skills: dict[str, Skill] = {}
    reasons: dict[str, str] = {}
    for name in (name for name in model.tasks if name in y_val):
        labels = np.asarray(y_val[name])
        there = is_labelled(labels)
        if not there.any():
            reasons[name] = f"Task {name!r} has no labels among the held-out samples."
            continue
        try:
            skills[name] = _of_outputs(model.tasks[name], outputs[name][there], labels[there])
        except ValueError as error:  # its head decodes neither classes nor values
            reasons[name] = str(error)
    if task not in skills:
        return not_tested("skill", reasons.get(task, f"Task {task!r} has no held-out labels."))
    return _evidence(skills, reasons, dict.fromkeys(skills, "the model"), task)


def _of_outputs(task: Task, outputs: Any, labels: np.ndarray) -> Skill:
    score = Score.of(task.head, int(np.prod(outputs.shape[1:])), labels)
    decoded, targets = task.head.decode(outputs), score.targets(labels)
    if score.of_classes:
        told = np.asarray(decoded["label"]).reshape(-1)
        return accuracy_skill(targets, told, score.num_classes, task.name)
    return mae_skill(targets, np.asarray(decoded["value"]).reshape(targets.shape), task=task.name)


def _of_reference(reference: Reference, task: str) -> Skill:
    if reference.classes:
        return accuracy_skill(reference.y, reference.predicted, reference.num_classes, task)
    return mae_skill(reference.y, reference.scores.reshape(reference.y.shape), task=task)


def _closed(skill: Skill, score: float) -> float:
    """Share of the way from the baseline to perfection that a score has gone."""
    perfect = 1.0 if skill.metric == "accuracy" else 0.0
    way = perfect - skill.baseline
    return (score - skill.baseline) / way if way else 0.0


def _interval(skill: Skill) -> tuple[float, float]:
    ends = sorted(_closed(skill, end) for end in (skill.low, skill.high))
    return ends[0], ends[1]


def _evidence(
    skills: dict[str, Skill], reasons: dict[str, str], by: dict[str, str], task: str | None
) -> Evidence:
    task = task or min(skills, key=lambda name: skills[name].gap_closed)
    one = skills[task]
    interval = _interval(one)
    rows: dict[str, dict[str, Any]] = {
        name: {
            "metric": found.metric,
            "score": found.score,
            "interval": (found.low, found.high),
            "baseline": found.baseline,
            "baseline_name": found.baseline_name,
            "skill": found.gap_closed,
            "skill_interval": _interval(found),
            "samples": found.samples,
            "verdict": found.verdict,
            "by": by[name],
        }
        for name, found in skills.items()
    }
    return Evidence(
        "skill",
        status_of(interval, LEAST_SKILL),
        f"{one.text}, by {by[task]}.",
        one.gap_closed,
        interval,
        null=0.0,
        threshold=LEAST_SKILL,
        unit="share of the way to perfection",
        samples=one.samples,
        details={"task": task, "tasks": rows, "not_scored": reasons},
    )
