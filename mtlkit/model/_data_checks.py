"""Checks of what goes into `fit` and `evaluate`, before anything is trained."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from mtlkit.losses.masked import labelled
from mtlkit.model._uniform_streams import uniform
from mtlkit.model.task import Task

#: Samples looked at together, so that large arrays are not copied whole.
_CHUNK = 1024


def is_stream(x: Any) -> bool:
    """Whether `x` yields batches (a data set, a loader, a generator) rather than holding arrays."""
    return not all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x))


def peek(data: Any, limit: int | None) -> tuple[Any, Iterator[Any]]:
    """Gives a look at the first batches of a stream, without losing them."""
    if isinstance(data, keras.utils.PyDataset):
        count = _at_most(data.num_batches, limit)
        return data, (data[index] for index in range(count))
    iterator = iter(data)
    if iterator is not data:
        return data, itertools.islice(iterator, _at_most(_length(data), limit))
    first = list(itertools.islice(iterator, _at_most(None, limit)))

    def replay() -> Iterator[Any]:  # Keras takes generators, but not itertools.chain
        yield from first
        yield from iterator

    return replay(), iter(first)


def checked(
    x: Any, y: Any, sample_weight: Any, tasks: Mapping[str, Task], inputs: Any, what: str
) -> tuple[Any, Any, Any]:
    """Checks what `fit` or `evaluate` was given; of a stream, the first batch."""
    if x is None:
        raise ValueError(f"Expected images x in the {what}. Received: x=None")
    if is_stream(x):
        x, batches = peek(uniform(x, tasks), 1)
        for _ in check_stream(batches, tasks, inputs, what, first=True):
            pass
        return x, y, sample_weight
    if isinstance(y, dict):
        y = {k: np.asarray(v) if isinstance(v, list | tuple) else v for k, v in y.items()}
    if isinstance(sample_weight, dict):
        sample_weight = {
            k: np.asarray(v) if isinstance(v, list | tuple) else v for k, v in sample_weight.items()
        }
    check_arrays(x, y, sample_weight, tasks, inputs, what)
    if isinstance(sample_weight, dict):
        ones = np.ones(keras.tree.flatten(x)[0].shape[0], "float32")
        sample_weight = {name: sample_weight.get(name, ones) for name in y}
    return x, y, sample_weight


def checked_validation(data: Any, tasks: Mapping[str, Task], inputs: Any) -> Any:
    """Checks the `validation_data` of `fit`: a stream, or a tuple of arrays.

    Args:
        data: `(x, y)`, `(x, y, sample_weight)`, or a stream.
        tasks: The model's tasks by name.
        inputs: The model's symbolic inputs.
    """
    what = "validation data"
    if not isinstance(data, tuple | list):
        return checked(data, None, None, tasks, inputs, what)[0]
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(tuple(data))
    x, y, sample_weight = checked(x, y, sample_weight, tasks, inputs, what)
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def check_arrays(
    x: Any, y: Any, sample_weight: Any, tasks: Mapping[str, Task], inputs: Any, what: str
) -> None:
    """Checks inputs, labels and weights that are held as arrays."""
    samples = check_batch(x, y, sample_weight, tasks, inputs, what)
    if not samples:
        raise ValueError(f"Expected {what} with at least one sample. Received: none")
    _check_some_label(_count_labels(y), what)


def check_stream(
    batches: Iterable[Any], tasks: Mapping[str, Task], inputs: Any, what: str, first: bool = False
) -> Iterator[Any]:
    """Checks batches as they pass; yields their inputs.

    Args:
        batches: Batches `(x, y)` or `(x, y, sample_weight)`.
        tasks: The model's tasks by name.
        inputs: The model's symbolic inputs.
        what: What the data are, for messages: `"training data"`.
        first: Whether it is the first batch only, which may well be without labels.
    """
    labels = keys = None
    for number, batch in enumerate(batches):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        check_batch(x, y, sample_weight, tasks, inputs, f"batch {number} of the {what}")
        keys = keys or list(y)
        if set(y) != set(keys) and keras.backend.backend() == "tensorflow":
            raise ValueError(
                "Expected batches of a stream with labels for the same tasks throughout, as "
                "TensorFlow wants it; mark what is missing by -1 or NaN. "
                f"Received: labels for {list(y)} in batch {number} of the {what}, after {keys}"
            )
        labels = (labels or 0) + _count_labels(y)
        yield x
    if labels is None:
        raise ValueError(f"Expected {what} with at least one batch. Received: none")
    if not first:
        _check_some_label(labels, what)


def check_batch(
    x: Any, y: Any, sample_weight: Any, tasks: Mapping[str, Task], inputs: Any, what: str
) -> int:
    """Checks one batch, or all data at once; returns its number of samples."""
    samples = _check_inputs(x, inputs, what)
    _check_keys(y, tasks, "labels", what)
    for name, labels in y.items():
        array = _numpy(labels)
        if array.ndim == 0 or len(array) != samples:
            raise ValueError(
                f"Task {name!r}: expected one label for each of the {samples} samples of the "
                f"{what}. Received: labels of shape {array.shape}"
            )
        # With a loss of the user's own, the user decides what a label is.
        if tasks[name].loss is None and samples:
            try:
                tasks[name].head.validate_labels(array, task=name)
            except ValueError as error:
                raise ValueError(f"{error} (in the {what})") from error
    if sample_weight is not None:
        by_task = isinstance(sample_weight, Mapping)
        if by_task:
            _check_keys(sample_weight, tasks, "sample weights", what)
            _check_weighted_tasks(sample_weight, y, what)
        weights = sample_weight if by_task else dict.fromkeys(tasks, sample_weight)
        for name, weight in weights.items():
            _check_weight(_numpy(weight), samples, name, what)
    return samples


def _check_inputs(x: Any, inputs: Any, what: str) -> int:
    arrays, expected = keras.tree.flatten(x), keras.tree.flatten(inputs)
    if len(arrays) != len(expected):
        raise ValueError(
            f"Expected {len(expected)} input(s) in the {what}. Received: {len(arrays)}"
        )
    counts = {array.shape[0] if array.shape else None for array in arrays}
    for array, spec in zip(arrays, expected, strict=True):
        shape = tuple(array.shape)
        fits = len(shape) == len(spec.shape) and all(
            want is None or want == size
            for want, size in zip(spec.shape[1:], shape[1:], strict=True)
        )
        if not fits or len(counts) > 1:
            wanted = ", ".join(map(str, ("samples", *spec.shape[1:])))
            raise ValueError(
                f"Expected images of shape ({wanted}) in the {what}. Received: shape {shape}"
            )
        for start in range(0, shape[0], _CHUNK):
            _check_finite(_numpy(array[start : start + _CHUNK]), start, what)
    return next(iter(counts)) or 0


def _check_finite(images: np.ndarray, start: int, what: str) -> None:
    if not (np.issubdtype(images.dtype, np.number) or images.dtype == bool):
        raise ValueError(f"Expected images of numbers in the {what}. Received: {images.dtype}")
    finite = np.isfinite(images)
    if not finite.all():
        sample = int(np.argmin(finite.reshape(len(images), -1).all(axis=1)))
        value = images[sample][~finite[sample]][0]
        raise ValueError(
            f"Expected images of finite numbers in the {what}. "
            f"Received: {value} in the image of sample {start + sample}"
        )


def _check_keys(values: Any, tasks: Mapping[str, Task], kind: str, what: str) -> None:
    if not isinstance(values, Mapping):
        raise ValueError(
            f"Expected the {kind} of the {what} as a dict by task, such as "
            f"{{{next(iter(tasks))!r}: ...}}. Received: {type(values).__name__}"
        )
    unknown = [name for name in values if name not in tasks]
    if unknown:
        raise ValueError(
            f"Expected {kind} for the tasks of the model, {list(tasks)}, in the {what}. "
            f"Received: {kind} for {unknown}"
        )


def _check_weighted_tasks(sample_weight: Mapping[str, Any], y: Any, what: str) -> None:
    without = [name for name in sample_weight if name not in y]
    if without:
        raise ValueError(
            f"Expected sample weights for tasks with labels in the {what}, {list(y)}. "
            f"Received: sample weights for {without}"
        )


def _check_weight(weight: np.ndarray, samples: int, task: str, what: str) -> None:
    if weight.shape not in ((samples,), (samples, 1)):
        raise ValueError(
            f"Task {task!r}: expected one sample weight for each of the {samples} samples of "
            f"the {what}. Received: weights of shape {weight.shape}"
        )
    if not np.all(np.isfinite(weight)) or np.any(weight < 0):
        wrong = weight.reshape(-1)[~(np.isfinite(weight) & (weight >= 0)).reshape(-1)][0]
        raise ValueError(
            f"Task {task!r}: expected finite sample weights >= 0 in the {what}. Received: {wrong}"
        )


def _check_some_label(labels: int, what: str) -> None:
    if not labels:
        raise ValueError(
            f"Expected a label for at least one task in the {what}. Received: none (a missing "
            "key, NaN or -1 means unlabelled)"
        )


def _count_labels(y: Mapping[str, Any]) -> int:
    return sum(int(np.sum(_numpy(labelled(_numpy(labels))))) for labels in y.values())


def _numpy(values: Any) -> np.ndarray:
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "to_numpy"):  # pandas
        return values.to_numpy()
    return keras.ops.convert_to_numpy(values)


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except TypeError:  # tf.data says so of endless and unknown lengths.
        return None


def _at_most(length: int | None, limit: int | None) -> int:
    if limit is None:
        return 100 if length is None else length
    return limit if length is None else min(length, limit)
