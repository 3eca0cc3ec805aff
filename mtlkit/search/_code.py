"""A trial as lines to paste."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from mtlkit.model.task import Task

#: What is written as it stands.
_PLAIN = (bool, int, float, str, type(None))
#: Fields of a task that a search may change, and what they are where nothing is said.
_FIELDS = {"feature": None, "gradient": "flow", "weight": 1.0, "condition_on": None}


def code_of(task: Task, arguments: Mapping[str, Any], learning_rate: float) -> str:
    """Returns the lines that put a trial's head into a model, and train it as the trial was.

    Args:
        task: The task of the trial.
        arguments: The arguments that the head was made with.
        learning_rate: The rate from which a half cosine fell to zero.
    """
    head = type(task.head)
    short = head.__module__.partition(".")[0] == "mtlkit"
    name = f"mtl.heads.{head.__name__}" if short else head.__name__
    said = {key: value for key, value in arguments.items() if not _is_usual(head, key, value)}
    own = ", ".join(f"{key}={_text(key, value)}" for key, value in said.items())
    changed = {key: getattr(task, key) for key, usual in _FIELDS.items()}
    changes = "".join(
        f", {key}={_text(key, value)}" for key, value in changed.items() if value != _FIELDS[key]
    )
    if task.condition_on is not None:
        changes += f", conditioning={_text('conditioning', task.conditioning)}"
    rate = f"keras.optimizers.schedules.CosineDecay({learning_rate:.3g}, epochs * steps_per_epoch)"
    return (
        f'model = model.with_head("{task.name}", {name}({own}){changes})\n'
        f"model.compile(keras.optimizers.Adam({rate}))"
    )


def _is_usual(head: type, name: str, value: Any) -> bool:
    """Whether an argument is what the constructor takes by itself."""
    if name == "data_format":
        return bool(value == keras.config.image_data_format())
    parameter = inspect.signature(head).parameters.get(name)
    usual = None if parameter is None else parameter.default
    return parameter is not None and type(usual) is type(value) and bool(usual == value)


def _text(name: str, value: Any) -> str:
    """A value as code; what code of one line cannot make goes by the name of its argument."""
    if isinstance(value, tuple | list) and all(isinstance(one, _PLAIN) for one in value):
        return repr(tuple(value))
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, keras.losses.Loss) and not value.__module__.startswith("mtlkit"):
        return f"keras.losses.{type(value).__name__}()"
    return name
