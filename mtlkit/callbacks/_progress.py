"""What the scores of tasks, epoch by epoch, say about which of them still improve."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

#: The scores of the tasks after an epoch.
Scores = Mapping[str, float]


@dataclass
class Progress:
    """Which tasks still improve, as a function of their scores alone.

    Attributes:
        best: The best score of each task so far.
        best_epoch: The epoch of that score, from 0.
        waited: For how many epochs each task has not improved.
        ended: The epoch in which each task has waited long enough, of those that have.
        objective: The best value of the objective so far.
        objective_epoch: The epoch of that value.
    """

    best: dict[str, float] = field(default_factory=dict)
    best_epoch: dict[str, int] = field(default_factory=dict)
    waited: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    objective: float = -math.inf
    objective_epoch: int | None = None


def progress_of(
    epochs: Sequence[Scores],
    directions: Mapping[str, str],
    patience: int,
    min_delta: float,
    objective: Callable[[Mapping[str, float]], float],
    for_good: bool = False,
) -> Progress:
    """Follows scores from the first epoch on.

    Args:
        epochs: Scores by task, one mapping an epoch. NaN says nothing: a task without labels
            neither improves nor waits.
        directions: `"max"` or `"min"` by task.
        patience: Epochs without improvement after which a task ends.
        min_delta: What a score has to be better by.
        objective: From the skills of the tasks to what is to be largest.
        for_good: Whether a task that has ended is not followed any more; else it goes on where it
            improves once more.

    Returns:
        What is known after the last epoch.
    """
    found = Progress(waited=dict.fromkeys(directions, 0))
    for epoch, scores in enumerate(epochs):
        for task, direction in directions.items():
            score = scores.get(task, math.nan)
            if (for_good and task in found.ended) or math.isnan(score):
                continue
            sign = 1 if direction == "max" else -1
            if task not in found.best or sign * (score - found.best[task]) > min_delta:
                found.best[task], found.best_epoch[task] = score, epoch
                found.waited[task] = 0
                found.ended.pop(task, None)
                continue
            found.waited[task] += 1
            if found.waited[task] >= patience:
                found.ended.setdefault(task, epoch)
        skills = skills_of(epochs[: epoch + 1], directions)
        if not skills:
            continue
        value = objective(skills)
        if math.isnan(value):
            continue
        if found.objective_epoch is None or value > found.objective:
            found.objective, found.objective_epoch = value, epoch
    return found


def skills_of(epochs: Sequence[Scores], directions: Mapping[str, str]) -> dict[str, float]:
    """The share of the way from the first score to perfection that each task has gone.

    Perfect is 1 where more is better, else 0. Without a score the last known one counts.
    """
    found = {}
    for task, direction in directions.items():
        known = [one[task] for one in epochs if math.isfinite(one.get(task, math.nan))]
        if known:
            perfect = 1.0 if direction == "max" else 0.0
            sign = 1 if direction == "max" else -1
            way = abs(perfect - known[0])
            found[task] = sign * (known[-1] - known[0]) / way if way else 0.0
    return found


def sum_of_skills(skills: Mapping[str, float]) -> float:
    """The objective, unless another one is stated."""
    return sum(skills.values())
