"""A trial as lines to paste."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mtlkit.model.task import Task

#: What is written as it stands.
_PLAIN = (bool, int, float, str, type(None))
#: Fields of a task that a search may change.
_FIELDS = ("feature", "gradient", "weight", "condition_on")


@dataclass(frozen=True)
class Schedule:
    """How a trial was trained: a half cosine from a rate to zero, over all its steps."""

    learning_rate: float
    epochs: int
    batch_size: int
    samples: int

    @property
    def code(self) -> str:
        """The lines that compile a model for it."""
        steps = self.epochs * -(-self.samples // self.batch_size)
        rate = f"keras.optimizers.schedules.CosineDecay({self.learning_rate:.3g}, {steps})"
        fit = f"model.fit(x, y, epochs={self.epochs}, batch_size={self.batch_size})"
        return f"model.compile(keras.optimizers.Adam({rate}))  # {steps} steps: {fit}"


def code_of(
    task: Task, arguments: Mapping[str, Any], schedule: Schedule, given: Task | None = None
) -> str:
    """Returns the lines that put a trial's head into a model, and train it as the trial was.

    Args:
        task: The task of the trial.
        arguments: The arguments that the head was made with.
        schedule: How the trial was trained.
        given: The task as the model has it, whose fields stay where they are the same. `None`:
            one with the defaults.
    """
    given = given or Task(task.name, task.head)
    fields = [*_FIELDS, *(["conditioning"] if task.condition_on is not None else [])]
    changed = {key: getattr(task, key) for key in fields}
    changed = {key: value for key, value in changed.items() if value != getattr(given, key)}
    said = {k: v for k, v in arguments.items() if not _is_usual(type(task.head), k, v)}
    values = [_text(value) for value in (*said.values(), *changed.values())]
    if None in values or not type(task.head).__module__.startswith("mtlkit."):
        return f"{_OF_CONFIG.format(name=task.name)}\n{schedule.code}"
    named = [f"{key}={text}" for key, text in zip((*said, *changed), values, strict=True)]
    head = f"mtl.heads.{type(task.head).__name__}({', '.join(named[: len(said)])})"
    parts = ", ".join([f'"{task.name}"', head, *named[len(said) :]])
    return f"model = model.with_head({parts})\n{schedule.code}"


#: Where no line makes the arguments: all that the search may have changed, from its result.
_OF_CONFIG = """\
task = keras.saving.deserialize_keras_object(result.best_config["task"])
model = model.with_head("{name}", task.head, feature=task.feature, gradient=task.gradient,
                        weight=task.weight, condition_on=task.condition_on,
                        conditioning=task.conditioning)"""


def _is_usual(head: type, name: str, value: Any) -> bool:
    """Whether an argument is what the constructor takes by itself."""
    if name == "data_format":
        return bool(value == keras.config.image_data_format())
    parameter = inspect.signature(head).parameters.get(name)
    usual = None if parameter is None else parameter.default
    return parameter is not None and type(usual) is type(value) and bool(usual == value)


def _text(value: Any) -> str | None:
    """A value as code; `None` for objects."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, tuple | list) and all(isinstance(one, _PLAIN) for one in value):
        return repr(tuple(value))
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return json.dumps(value)
    return repr(value) if isinstance(value, _PLAIN) else None
