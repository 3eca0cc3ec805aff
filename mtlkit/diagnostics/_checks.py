"""Checks of the data of a diagnosis, before anything is measured."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit._arrays import to_numpy
from mtlkit._counts import is_real
from mtlkit.metrics._labels import is_labelled
from mtlkit.references._inputs import channels_last
from mtlkit.references._kinds import as_inputs

#: With fewer labelled samples nothing can be told.
LEAST_SAMPLES = 50
#: Classes may be numbered up to here, or up to the number of samples if that is more: every
#: class takes memory, whether it has samples or not.
_MOST_CLASSES = 1000
#: Images looked at together, so that large arrays are not copied whole.
_CHUNK = 1024


def checked_inputs(x: Any, what: str = "x") -> NDArray[Any]:
    """Returns inputs as float32 (tokens as integers), or says what is wrong with them.

    Args:
        x: Images of shape `(samples, height, width, channels)`, or with channels first; sequences
            `(samples, steps, values)`; columns of a table `(samples, columns)`, or a table; or
            integer tokens `(samples, steps)`.
        what: What they are called.

    Returns:
        Array of that shape, channels last.
    """
    return as_inputs(input_array(x, what))


def input_array(x: Any, what: str = "x") -> NDArray[Any]:
    """As `checked_inputs`, in the type that they are stored in: nothing is copied."""
    inputs = to_numpy(x)
    if inputs.dtype.kind not in "fiub" or inputs.ndim not in (2, 3, 4) or not inputs.size:
        raise ValueError(
            f"Expected {what} to be numbers: images (samples, height, width, channels), sequences "
            "(samples, steps, values), columns (samples, columns) or tokens (samples, steps). "
            f"Received: {what} of shape {inputs.shape}, dtype {inputs.dtype}"
            f"{_cure(inputs, what)}"
        )
    inputs = channels_last(inputs)
    wrong = _not_finite(inputs)
    if wrong:
        raise ValueError(
            f"Expected finite values in {what}. Received: NaN or infinite values in {wrong} of "
            f"{len(inputs)} samples. Fill them first, such as by the mean of the column"
        )
    return inputs


def _cure(x: NDArray, what: str) -> str:
    """What to do about an array that is none of inputs."""
    if x.dtype.kind in "OUS":
        return ". Turn text into numbers first, such as by keras.layers.TextVectorization"
    return f". Give each value a row: {what}[:, None]" if x.ndim == 1 else ""


def checked_pair(data: Any, what: str = "validation_data") -> tuple[Any, Any]:
    """Returns the two parts of `(x_val, y_val)`, or says that they are not two."""
    if isinstance(data, tuple | list) and len(data) == 2:
        return data[0], data[1]
    parts = f" of {len(data)} parts" if isinstance(data, tuple | list) else ""
    raise ValueError(
        f"Expected {what} as a pair (x_val, y_val). Received: {type(data).__name__}{parts}"
    )


def check_num_classes(num_classes: Any) -> None:
    """Checks that a number of classes is one: an integer from 2 on, or `None`."""
    if num_classes is None:
        return
    whole = isinstance(num_classes, numbers.Integral) and not isinstance(num_classes, bool)
    if not whole or num_classes < 2:
        raise ValueError(
            "Expected num_classes as an integer of at least 2, or None. "
            f"Received: num_classes={num_classes!r}"
        )


def check_class_names(class_names: Any, labels: NDArray) -> None:
    """Checks that there is a name for each class, or none at all."""
    if class_names is None:
        return
    needed = int(labels.max()) + 1 if labels.dtype.kind != "f" else 0
    if isinstance(class_names, str) or len(class_names) < needed:
        given = repr(class_names) if isinstance(class_names, str) else f"{len(class_names)} names"
        raise ValueError(
            f"Expected class_names with a name for each of {needed} classes. Received: {given}"
        )


def check_budget(budget: Any) -> None:
    """Checks that a budget is a number of seconds: finite, and above 0."""
    if not is_real(budget) or not 0 < budget < math.inf:
        raise ValueError(
            "Expected a budget of CPU-seconds, a finite number above 0. "
            f"Received: budget={budget!r}"
        )


def checked_labels(
    y: Any, task: str, samples: int, what: str = "y"
) -> tuple[NDArray, dict[str, NDArray]]:
    """Returns the labels of a task, and those of the other tasks.

    Returns:
        The labels of the task, of shape `(samples,)` or, of several values, `(samples, values)`,
        and those of the others by name.
    """
    own, others = labels_by_task(y, task, samples, what)
    there = own[is_labelled(own)]
    if len(there) < LEAST_SAMPLES:
        raise ValueError(
            f"Task {task!r}: expected at least {LEAST_SAMPLES} labelled samples in {what}. "
            f"Received: {len(there)}"
        )
    kinds = len(np.unique(there))
    if kinds < 2:
        raise ValueError(
            f"Task {task!r}: expected labels of at least two values in {what}. "
            f"Received: {there[0]} in every sample"
        )
    if own.dtype.kind != "f" and kinds > len(there) / 2:
        raise ValueError(
            f"Task {task!r}: expected at least two samples a class, on average, in {what}. "
            f"Received: {kinds} classes in {len(there)} samples"
        )
    return own, others


def labels_by_name(y: Any, samples: int, what: str = "y") -> dict[str, NDArray]:
    """Returns labels by task, of which any may be missing; those of one alone are called `"y"`."""
    by_name = y if isinstance(y, Mapping) else {"y": y}
    return {str(name): _column(value, name, samples, what) for name, value in by_name.items()}


def labels_by_task(
    y: Any, task: str, samples: int, what: str = "y"
) -> tuple[NDArray, dict[str, NDArray]]:
    """As `checked_labels`, of any number of labels."""
    by_task = dict(y) if isinstance(y, Mapping) else {task: y}
    check_given(by_task, task, what)
    labels = {name: _column(value, name, samples, what) for name, value in by_task.items()}
    return labels.pop(task), labels


def check_given(y: Mapping[str, Any], task: str, what: str = "y") -> None:
    """Checks that a task has labels, whatever they are."""
    if task not in y:
        raise ValueError(f"Task {task!r}: expected labels in {what}. Received: labels of {list(y)}")


def complete(labels: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Returns those labels of which none is missing."""
    return {name: values for name, values in labels.items() if is_labelled(values).all()}


def _not_finite(images: NDArray) -> int:
    """How many samples hold NaN, or what is infinite as float32."""
    if images.dtype.kind != "f":
        return 0
    wrong = 0
    for start in range(0, len(images), _CHUNK):
        part = images[start : start + _CHUNK].astype("float32")
        wrong += int((~np.isfinite(part)).reshape(len(part), -1).any(axis=1).sum())
    return wrong


def _column(value: Any, task: str, samples: int, what: str) -> NDArray:
    labels = to_numpy(value)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    axes = (1, 2) if labels.dtype.kind == "f" else (1,)  # a value may be several numbers
    if labels.dtype.kind not in "fiub" or labels.ndim not in axes or len(labels) != samples:
        raise ValueError(
            f"Task {task!r}: expected labels of shape ({samples},) in {what}, one for each sample. "
            f"Received: shape {labels.shape}, dtype {labels.dtype}"
        )
    if labels.dtype.kind == "f":
        _check_finite(labels, task, what)
        return labels
    if labels.min() < -1:
        raise ValueError(
            f"Task {task!r}: expected classes from 0 on, or -1 for no label, in {what}. "
            f"Received: {labels.min()}"
        )
    limit = max(_MOST_CLASSES, samples)
    if labels.max() >= limit:
        raise ValueError(
            f"Task {task!r}: expected classes numbered from 0 on, below {limit:,} for {samples:,} "
            f"samples, in {what} (give values as floats; np.unique(labels, return_inverse=True) "
            f"numbers classes anew). Received: {labels.max()} at sample {labels.argmax()}"
        )
    return labels.astype("int64")


def _check_finite(labels: NDArray, task: str, what: str) -> None:
    infinite = np.isinf(labels).reshape(len(labels), -1).any(axis=1)
    if infinite.any():
        row = int(infinite.argmax())
        raise ValueError(
            f"Task {task!r}: expected finite values, or NaN for no label, in {what}. "
            f"Received: {labels[row]} at sample {row}"
        )
