"""What `fit` and `evaluate` are called with: by name, checked, and as Keras takes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from mtlkit.model._data_checks import check_stream, checked, checked_validation, is_stream, peek
from mtlkit.model._uniform_streams import uniform
from mtlkit.model.task import Task


def by_name(method: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Returns the arguments of a call by their names."""
    given = inspect.signature(method).bind(None, *args, **kwargs).arguments
    given.pop("self")
    return given


def check_evaluate_arguments(given: dict[str, Any], tasks: Mapping[str, Task], inputs: Any) -> None:
    """Checks the arguments of `evaluate`, and puts them into the form that Keras takes."""
    x, y, sample_weight = _data(given)
    x, y, sample_weight = checked(x, y, sample_weight, tasks, inputs, "evaluation data")
    given.update(x=x, y=y, sample_weight=sample_weight)


def check_fit_arguments(
    given: dict[str, Any], tasks: Mapping[str, Task], inputs: Any, whole: bool
) -> Iterator[Any]:
    """Checks the arguments of `fit`, and puts them into the form that Keras takes."""
    x, y, sample_weight = _data(given)
    what = "training data"
    if x is not None and is_stream(x):
        limit = given.get("steps_per_epoch") if whole else 1
        given["x"], batches = peek(uniform(x, tasks), limit)
        trained = check_stream(batches, tasks, inputs, what, first=not whole)
    else:
        x, y, sample_weight = checked(x, y, sample_weight, tasks, inputs, what)
        given.update(x=x, y=y, sample_weight=sample_weight)
        trained = iter([_without_validation(x, given.get("validation_split", 0.0))])
    if given.get("validation_data") is not None:
        given["validation_data"] = checked_validation(given["validation_data"], tasks, inputs)
    return trained


def _data(given: dict[str, Any]) -> tuple[Any, Any, Any]:
    return given.get("x"), given.get("y"), given.get("sample_weight")


def _without_validation(x: Any, validation_split: float) -> Any:
    """The samples that Keras trains on: all but the last."""
    count = int(keras.tree.flatten(x)[0].shape[0] * (1 - validation_split))
    return keras.tree.map_structure(lambda array: array[:count], x)
