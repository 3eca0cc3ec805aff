"""What `fit`, `evaluate` and `predict` are called with: by name, checked, and as Keras takes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from mtlkit._arrays import as_array
from mtlkit.model._data_checks import check_arrays, check_inputs, checked_batches
from mtlkit.model._streams import is_stream, peek
from mtlkit.model._uniform_streams import uniform
from mtlkit.model.task import Task

_TRAINING = "training data"


class Data(NamedTuple):
    """Inputs, labels by task, and sample weights; or a stream of them as `x`."""

    x: Any
    y: Any = None
    sample_weight: Any = None


def by_name(method: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Returns the arguments of a call by their names."""
    given = inspect.signature(method).bind(None, *args, **kwargs).arguments
    given.pop("self")
    return given


def check_fit_arguments(
    given: Mapping[str, Any], tasks: Mapping[str, Task], inputs: Any
) -> dict[str, Any]:
    """Checks the arguments of `fit`; of streams, the first batch."""
    if given.get("class_weight") is not None:
        name = next(iter(tasks))
        raise ValueError(
            "Expected fit() without class_weight, which says nothing about several tasks: give it "
            f"to the task, as in Task({name!r}, head, class_weight={{0: 2.0}}) or "
            'class_weight="balanced". '
            f"Received: class_weight={given['class_weight']!r}"
        )
    arguments = {**given, **_checked(_data(given), tasks, inputs, _TRAINING)._asdict()}
    validation = given.get("validation_data")
    if validation is not None:
        parts = isinstance(validation, tuple | list)
        data = Data(*(validation if parts else [validation]))
        data = _checked(data, tasks, inputs, "validation data")
        arguments["validation_data"] = _in_short(data) if parts else data.x
    return arguments


def check_evaluate_arguments(
    given: Mapping[str, Any],
    tasks: Mapping[str, Task],
    inputs: Any,
    what: str = "evaluation data",
) -> dict[str, Any]:
    """Checks the arguments of `evaluate`, as `check_fit_arguments` does those of `fit`.

    `what` is the name of the data in messages.
    """
    return {**given, **_checked(_data(given), tasks, inputs, what)._asdict()}


def check_predict_input(x: Any, inputs: Any) -> Any:
    """Checks the inputs of `predict`, if they are arrays, and returns them as Keras takes them."""
    if x is None or is_stream(x):
        return x
    x = keras.tree.map_structure(as_array, x)
    check_inputs(x, inputs, "data to predict")
    return x


def training_batches(
    arguments: Mapping[str, Any], tasks: Mapping[str, Task], inputs: Any, limit: int | None
) -> tuple[dict[str, Any], Iterator[Data]]:
    """Gives a look at what is trained on: arrays whole, of a stream as many batches as `limit`."""
    data = _data(arguments)
    if not is_stream(data.x):
        return dict(arguments), iter([_without_validation(data, arguments)])
    stream, batches = peek(data.x, limit)
    checked = checked_batches(batches, tasks, inputs, _TRAINING)
    return {**arguments, "x": stream}, (Data(*batch) for batch in checked)


def _data(given: Mapping[str, Any]) -> Data:
    """The data among the arguments of a call."""
    return Data(given.get("x"), given.get("y"), given.get("sample_weight"))


def weight_of(sample_weight: Any, task: str) -> Any:
    """The sample weights of a task: its own, or those of all tasks; `None` if there are none."""
    return sample_weight.get(task) if isinstance(sample_weight, dict) else sample_weight


def _checked(data: Data, tasks: Mapping[str, Task], inputs: Any, what: str) -> Data:
    """Returns data as Keras takes them, checked; of a stream, the first batch is."""
    if data.x is None:
        raise ValueError(f"Expected inputs x in the {what}. Received: x=None")
    if is_stream(data.x):
        stream, first = peek(uniform(data.x, tasks), 1)
        next(checked_batches(first, tasks, inputs, what))
        return data._replace(x=stream)
    x = keras.tree.map_structure(as_array, data.x)
    y, weight = (_as_arrays(part) for part in (data.y, data.sample_weight))
    check_arrays(x, y, weight, tasks, inputs, what)
    if isinstance(weight, dict):
        ones = np.ones(keras.tree.flatten(x)[0].shape[0], "float32")
        weight = {name: weight.get(name, ones) for name in y}
    return Data(x, y, weight)


def _as_arrays(values: Any) -> Any:
    """Labels or weights by task, with arrays in place of lists and columns of tables."""
    if not isinstance(values, dict):
        return values
    return {name: as_array(value) for name, value in values.items()}


def _in_short(data: Data) -> tuple[Any, ...]:
    """The data as a tuple for Keras, with weights only if there are any."""
    return (data.x, data.y) if data.sample_weight is None else tuple(data)


def _without_validation(data: Data, arguments: Mapping[str, Any]) -> Data:
    """The samples that Keras trains on: all but the last."""
    split = arguments.get("validation_split") or 0.0
    count = int(keras.tree.flatten(data.x)[0].shape[0] * (1 - split))

    def first(array: Any) -> Any:
        return array[:count]

    return Data(*(part if part is None else keras.tree.map_structure(first, part) for part in data))
