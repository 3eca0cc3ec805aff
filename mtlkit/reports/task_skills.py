"""The score of every task beside what needs no learning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.metrics._labels import is_labelled, is_one_hot
from mtlkit.metrics.skill import Skill, accuracy_skill, mae_skill


def task_skills(
    model: Any, x: Any, y: Mapping[str, ArrayLike], y_train: Mapping[str, ArrayLike] | None = None
) -> list[Skill]:
    """Scores every task of a model beside chance, or the best constant, with its interval.

    Classes and bins are scored by their accuracy, values by their mean absolute error, and rows of
    labels by the share that is wrong, which is the mean absolute error of 0 and 1.

    Args:
        model: A trained `mtlkit.MultiTaskModel`.
        x: Inputs that it was not trained on.
        y: Their labels by task. A task without labels has no score.
        y_train: Training labels by task: values are compared with their median. `None`: with that
            of `y`, which no constant can beat.

    Returns:
        A skill for each task that has labels; `mtlkit.metrics.skill_table` prints them.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl

        rng = np.random.default_rng(0)
        x, y = rng.random((40, 3)), {"kind": rng.integers(4, size=40), "size": rng.random(40)}
        data = mtl.datasets.MultiTaskData(x, y, x, y, x, y)
        model = mtl.datasets.default_model(data)
        model.compile("adam")
        model.fit(x, y, verbose=0)
        print(mtl.metrics.skill_table(mtl.reports.task_skills(model, x, y)))
        ```
    """
    labels = {task: np.asarray(y[task]) for task in model.tasks if task in y}
    known = {task: one for task, one in labels.items() if is_labelled(one).any()}
    decoded = model.predict_tasks(x, verbose=0) if known else {}
    return [
        _skill(task, one, decoded[task], model.tasks[task].head, (y_train or {}).get(task))
        for task, one in known.items()
    ]


def _skill(
    task: str, y: NDArray, decoded: Mapping[str, NDArray], head: Any, y_train: ArrayLike | None
) -> Skill:
    if "label" in decoded:
        predicted = np.asarray(decoded["label"])
        probability = decoded.get("probability")
        classes = None if probability is None else probability.shape[-1]
        if y.ndim == predicted.ndim + 1 and is_one_hot(y):
            y = y.argmax(axis=-1)
        if y.dtype.kind == "f" and getattr(head, "labels", "bins") == "degrees":
            y = np.round(y / head.period * head.num_bins) % head.num_bins  # the nearest bin
        return accuracy_skill(y.reshape(predicted.shape), predicted, classes, task=task)
    predicted = np.asarray(decoded["labels" if "labels" in decoded else "value"], "float64")
    return mae_skill(y.reshape(predicted.shape), predicted, _median(y_train), task=task)


def _median(y_train: ArrayLike | None) -> float | None:
    """The constant that values are compared with; of several numbers a sample, none is known."""
    values = np.asarray([] if y_train is None else y_train)
    known = values[is_labelled(values)] if values.ndim == 1 else values[:0]
    return float(np.median(known)) if known.size else None
