"""Checks of what goes into `fit` and `evaluate`, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from mtlkit._arrays import parts, to_numpy
from mtlkit.metrics._labels import is_labelled
from mtlkit.model._shape_cures import shape_cure
from mtlkit.model.task import Task

#: Numbers looked at together, so that large arrays are not copied whole.
_TOGETHER = 1 << 22


def check_arrays(
    x: Any, y: Any, sample_weight: Any, tasks: Mapping[str, Task], inputs: Any, what: str
) -> None:
    """Checks inputs, labels and weights that are held as arrays."""
    samples = check_batch(x, y, sample_weight, tasks, inputs, what)
    if not samples:
        raise ValueError(f"Expected {what} with at least one sample. Received: none")
    _check_some_label(_count_labels(y), what)


def checked_batches(
    batches: Iterable[Any], tasks: Mapping[str, Task], inputs: Any, what: str
) -> Iterator[tuple[Any, Any, Any]]:
    """Checks batches as they pass.

    Args:
        batches: Batches `(x, y)` or `(x, y, sample_weight)`.
        tasks: The model's tasks by name.
        inputs: The model's symbolic inputs.
        what: The name of the data in messages, such as `"training data"`.
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
        yield x, y, sample_weight
    if labels is None:
        raise ValueError(f"Expected {what} with at least one batch. Received: none")
    _check_some_label(labels, what)


def check_batch(
    x: Any, y: Any, sample_weight: Any, tasks: Mapping[str, Task], inputs: Any, what: str
) -> int:
    """Checks one batch, or all data at once; returns its number of samples."""
    samples = check_inputs(x, inputs, what)
    _check_keys(y, tasks, "labels", what)
    for name, labels in y.items():
        _check_no_mask(labels, name, what)
        array = to_numpy(labels)
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
            _check_weight(to_numpy(weight), samples, name, what)
    return samples


def check_inputs(x: Any, inputs: Any, what: str) -> int:
    """Checks inputs: their number, shapes, and that they are finite numbers."""
    expected = keras.tree.flatten(inputs)
    if isinstance(x, Mapping) and not isinstance(inputs, Mapping):
        # Keras takes inputs by name, too, where the model has them in a list.
        names = [spec.name for spec in expected]
        x = [x[name] for name in names] if set(names) <= set(x) else x
    arrays = keras.tree.flatten(x)
    if len(arrays) != len(expected):
        raise ValueError(
            f"Expected {len(expected)} input(s) in the {what}. Received: {len(arrays)}"
        )
    for array, spec in zip(arrays, expected, strict=True):
        noun = "images" if len(spec.shape) == 4 else "inputs"
        shape = tuple(array.shape)
        if len(shape) == len(spec.shape) - 1 and spec.shape[-1] == 1 and len(spec.shape) == 2:
            shape = (*shape, 1)  # as Keras does
        if not _fits(shape[1:], spec.shape[1:]) or not shape:
            wanted = ", ".join(map(str, ("samples", *spec.shape[1:])))
            raise ValueError(
                f"Expected {noun} of shape ({wanted}) in the {what}. Received: shape {shape}"
                f"{shape_cure(shape, spec.shape[1:])}"
            )
        if keras.backend.standardize_dtype(spec.dtype) == "string":
            continue
        for start, part in parts(array, _TOGETHER):
            _check_finite(to_numpy(part), start, noun, what)
    counts = [array.shape[0] for array in arrays]
    if len(set(counts)) > 1:
        raise ValueError(
            f"Expected as many samples in each input of the {what}. Received: {counts}"
        )
    return counts[0]


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Whether a shape is the one that is wanted, where `None` is any size."""
    return len(shape) == len(wanted) and all(
        want is None or want == size for want, size in zip(wanted, shape, strict=True)
    )


def _check_finite(values: np.ndarray, start: int, noun: str, what: str) -> None:
    if not (np.issubdtype(values.dtype, np.number) or values.dtype == bool):
        raise ValueError(
            f"Expected {noun} of numbers in the {what}. Received: dtype={values.dtype}. Convert "
            'them first, such as by x.astype("float32") where each is a number'
        )
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite.reshape(len(values), -1).all(axis=1)))
        value = values[row][~finite[row]].reshape(-1)[0]
        sample = f"{'the image of ' if noun == 'images' else ''}sample {start + row}"
        raise ValueError(
            f"Expected {noun} of finite numbers in the {what}. Received: {value} in {sample}. "
            "Leave such samples out, or fill them: np.nan_to_num(x)"
        )


def _check_keys(values: Any, tasks: Mapping[str, Task], kind: str, what: str) -> None:
    if not isinstance(values, Mapping):
        raise ValueError(
            f"Expected the {kind} of the {what} as a dict by task, such as "
            f"{{{next(iter(tasks))!r}: ...}}. Received: {type(values).__name__}"
            f"{_keys_cure(values, tasks)}"
        )
    unknown = [name for name in values if name not in tasks]
    if unknown:
        raise ValueError(
            f"Expected {kind} for the tasks of the model, {list(tasks)}, in the {what}, and for no "
            f"others. Received: {kind} for {unknown}, too. Leave them out"
        )


def _keys_cure(values: Any, tasks: Mapping[str, Task]) -> str:
    """What to do about labels that are no dict."""
    if hasattr(values, "to_numpy") and hasattr(values, "columns"):
        return ". Give its columns: {name: table[name].to_numpy() for name in table}"
    if len(tasks) == 1 and hasattr(values, "shape"):
        return f". Give {{{next(iter(tasks))!r}: y}}"
    return ""


def _check_no_mask(labels: Any, task: str, what: str) -> None:
    """Raises a ValueError for labels that are masked, which backends would unmask."""
    if np.ma.is_masked(labels):
        missing = "numpy.nan" if labels.dtype.kind == "f" else "-1"
        raise ValueError(
            f"Task {task!r}: expected missing labels as -1 or NaN in the {what}. Received: a "
            f"masked array. Give y[{task!r}].filled({missing})"
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
            + (
                ". Pixels are left out by labels of -1 or NaN, and weighed by class_weight"
                if weight.ndim > 2
                else ""
            )
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
    """The number of samples with a label, or with a part of one."""
    rows = [to_numpy(labels) for labels in y.values()]
    return sum(int(is_labelled(one.reshape(-1)).sum()) for one in rows)
