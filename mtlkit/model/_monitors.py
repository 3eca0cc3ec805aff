"""Callbacks that follow a log, and the direction in which they take it to improve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from mtlkit._warnings import warn
from mtlkit.callbacks import TaskEarlyStopping
from mtlkit.model.task import Task

#: Callbacks that take `monitor` and `mode`.
_FOLLOWING = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.ModelCheckpoint,
)
_MODES = {"up": "max", "down": "min"}
#: Words in the name of a metric that show its direction, where Keras does not know it.
_WORDS = {
    "max": ("accuracy", "auc", "precision", "recall", "f1"),
    "min": ("mae", "mse", "error", "loss", "severity"),
}


def check_monitors(
    callbacks: Any, directions: Mapping[str, str | None], fit: Mapping[str, Any] | None = None
) -> None:
    """Checks callbacks that follow a log of a task, before training; `fit` are the arguments.

    Keras does not know which way such a log improves: with `mode="auto"` it raises an error
    after the first epoch.
    """
    for callback in keras.tree.flatten(getattr(callbacks, "callbacks", callbacks)):
        if isinstance(callback, TaskEarlyStopping) and fit is not None:
            _check_validation(fit)
        if not isinstance(callback, _FOLLOWING):
            continue
        log = callback.monitor.removeprefix("val_")
        if log not in directions or (log == "loss" and callback.mode == "auto"):
            continue
        right = directions[log]
        if callback.mode == "auto":
            mode = '"max" or "min"' if right is None else f'"{right}"'
            name = type(callback).__name__
            raise ValueError(
                f"Expected {name} with mode={mode}, since Keras does not know which way "
                f"{callback.monitor!r} improves: "
                f'{name}(monitor="{callback.monitor}", mode={mode}). Received: mode="auto"'
            )
        if right not in (None, callback.mode):
            warn(
                f'Expected {type(callback).__name__} with mode="{right}", since '
                f"{callback.monitor!r} is better the {'higher' if right == 'max' else 'lower'} "
                f'it is. Received: mode="{callback.mode}"'
            )


def _check_validation(fit: Mapping[str, Any]) -> None:
    """Checks that there are validation scores after each epoch."""
    if fit.get("validation_data") is None and not fit.get("validation_split"):
        raise ValueError(
            "Expected validation_data or validation_split, whose scores TaskEarlyStopping "
            "follows: fit(x, y, validation_data=(x_val, y_val), ...). Received: neither"
        )
    if fit.get("validation_freq", 1) != 1:
        raise ValueError(
            "Expected validation_freq=1 with TaskEarlyStopping, which counts epochs with a score. "
            f"Received: validation_freq={fit['validation_freq']!r}"
        )


def directions(
    tasks: Mapping[str, Task], metrics: Mapping[str, Sequence[Any]]
) -> dict[str, str | None]:
    """Which way each log improves, without "val_"; `None` where that is not known."""
    found: dict[str, str | None] = {"loss": "min"}
    for name, task in tasks.items():
        found[f"{name}_loss"] = "min"
        primary, direction = task.head.primary_metric
        for metric in metrics[name]:
            known = metric.name == f"{name}_{primary}"
            found[metric.name] = direction if known else direction_of(metric)
    return found


def direction_of(metric: Any) -> str | None:
    """Which way a Keras metric improves, `"max"` or `"min"`, if it or its name shows that."""
    while hasattr(metric, "metric"):
        metric = metric.metric
    known = _MODES.get(getattr(metric, "_direction", ""))
    named = (mode for mode, words in _WORDS.items() if any(word in metric.name for word in words))
    return known or next(named, None)
