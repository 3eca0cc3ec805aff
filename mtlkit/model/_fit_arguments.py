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
    """Returns the arguments of a call by their names.

    Args:
        method: An unbound method of `keras.Model`.
        *args: Its positional arguments, without `self`.
        **kwargs: Its other arguments.

    Returns:
        The arguments that were given.

    Raises:
        TypeError: If the method has no such arguments.

    Example:
        ```python
        import keras
        from mtlkit.model._fit_arguments import by_name

        given = by_name(keras.Model.fit, [1], None, 32, verbose=0)
        assert given == {"x": [1], "y": None, "batch_size": 32, "verbose": 0}
        ```
    """
    given = inspect.signature(method).bind(None, *args, **kwargs).arguments
    given.pop("self")
    return given


def check_evaluate_arguments(given: dict[str, Any], tasks: Mapping[str, Task], inputs: Any) -> None:
    """Checks the arguments of `evaluate`, and puts them into the form that Keras takes.

    Args:
        given: The arguments by name, changed in place.
        tasks: The model's tasks by name.
        inputs: The model's symbolic inputs.

    Raises:
        ValueError: If the data do not fit the model.
    """
    x, y, sample_weight = _data(given)
    x, y, sample_weight = checked(x, y, sample_weight, tasks, inputs, "evaluation data")
    given.update(x=x, y=y, sample_weight=sample_weight)


def check_fit_arguments(
    given: dict[str, Any], tasks: Mapping[str, Task], inputs: Any, whole: bool
) -> Iterator[Any]:
    """Checks the arguments of `fit`, and puts them into the form that Keras takes.

    Args:
        given: The arguments by name, changed in place.
        tasks: The model's tasks by name.
        inputs: The model's symbolic inputs.
        whole: Whether the batches of a stream are to be looked at that one epoch has, and
            not the first alone.

    Returns:
        An iterator over the inputs that the model is to be trained on. Batches of a stream
        are checked as it yields them, so it has to be run through.

    Raises:
        ValueError: If the data do not fit the model; while it is run through, too.
    """
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
