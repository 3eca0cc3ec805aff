"""Fixed weights that are tuned on the validation data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from mtlkit._gradients import Unchanged, gradients
from mtlkit.balancing.comparison._training import Job, Protocol

#: The largest factor by which a drawn try changes a weight, up or down, before all are scaled.
_FACTOR = 10.0
#: Batches of training data by which initial losses and gradients are measured.
_BATCHES = 4
#: Digits of a weight that are kept.
_DIGITS = 4

EQUAL, LOSSES, GRADIENTS = "equal", "equal initial losses", "equal initial gradients"
DRAWN, GIVEN = "drawn", "given"


def tries(protocol: Protocol, tuning: int | Sequence[Mapping[str, float]], seed: int) -> list[Any]:
    """The weights to try, `[{"how": ..., "weights": {task: weight}}, ...]`, equal ones first.

    Then come those by which all initial losses are equal, and all norms of the initial gradients
    at the backbone, if there are. The others are drawn around the former: each weight times a
    factor from 1/10 to 10, whose logarithm is even. So what is searched does not depend on the
    units of the losses.
    """
    tasks = list(protocol.metrics)
    found = [{"how": EQUAL, "weights": dict.fromkeys(tasks, 1.0)}]
    if not isinstance(tuning, int | np.integer):
        return found + [{"how": GIVEN, "weights": _scaled(dict(weights))} for weights in tuning]
    if tuning == 1:
        return found
    losses, norms = initial_sizes(protocol, seed)
    center = _inverse(losses) or dict.fromkeys(tasks, 1.0)
    for how, sizes in ((LOSSES, losses), (GRADIENTS, norms)):
        weights = _inverse(sizes)
        if weights is not None and len(found) < tuning:
            found.append({"how": how, "weights": weights})
    rng = np.random.default_rng(seed)
    while len(found) < tuning:
        factors = _FACTOR ** rng.uniform(-1.0, 1.0, len(tasks))
        drawn = {t: center[t] * float(f) for t, f in zip(tasks, factors, strict=True)}
        found.append({"how": DRAWN, "weights": _scaled(drawn)})
    return found


def initial_sizes(protocol: Protocol, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """The loss of each task, and the norm of its gradient at the backbone, before training."""
    job = Job(EQUAL, seed, tuple(protocol.metrics))
    model = protocol.model(job)
    x, y = protocol.splits.train.of(job.tasks)
    model.fit(x, y, epochs=0, batch_size=protocol.batch_size, verbose=0)  # adapts to the data
    rows = np.random.default_rng(seed).permutation(protocol.splits.train.samples)
    variables = list(model.backbone.trainable_variables)
    losses: dict[str, list[float]] = {task: [] for task in job.tasks}
    norms: dict[str, list[float]] = {task: [] for task in job.tasks}
    for number in range(_BATCHES):
        part = rows[number * protocol.batch_size : (number + 1) * protocol.batch_size]
        if number and len(part) < protocol.batch_size:
            break
        images, labels = keras.tree.map_structure(lambda array, part=part: array[part], (x, y))
        for name, task in model.tasks.items():
            loss = task.head.training_loss(task.loss)

            def value(name: str = name, loss: Any = loss, x: Any = images, y: Any = labels) -> Any:
                return keras.ops.sum(loss(y[name], model(x, training=True)[name]))

            with Unchanged(collect_losses=True):
                losses[name].append(float(keras.ops.convert_to_numpy(value())))
            own = gradients(value, variables) if variables else []
            norms[name].append(
                math.sqrt(sum(float((one.astype("float64") ** 2).sum()) for one in own))
            )
    return tuple({t: float(np.mean(v)) for t, v in one.items()} for one in (losses, norms))  # type: ignore[return-value]


def _inverse(sizes: Mapping[str, float]) -> dict[str, float] | None:
    """Weights that make sizes equal; `None` where one of them is zero, or not finite."""
    if not all(math.isfinite(size) and size > 0 for size in sizes.values()):
        return None
    return _scaled({task: 1.0 / size for task, size in sizes.items()})


def _scaled(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights whose mean is 1, as that of equal ones."""
    mean = sum(weights.values()) / len(weights)
    return {task: float(f"{weight / mean:.{_DIGITS}g}") for task, weight in weights.items()}
