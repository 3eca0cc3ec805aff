"""Streams whose batches all have labels for the same tasks, as TensorFlow's pipelines want."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from types import GeneratorType
from typing import Any

import keras
import numpy as np

#: Batches looked at, at most, to know how the labels of every task look.
_LIMIT = 10


def uniform(stream: Any, tasks: Iterable[str]) -> Any:
    """Lets every batch of a Python stream have labels for the same tasks.

    TensorFlow lays a pipeline out from the first batches, and then wants all batches alike.
    So labels that a batch lacks are put in as -1 (or NaN for floating-point labels), and
    sample weights that it lacks as 1. Elsewhere streams are left as they are.

    Args:
        stream: A `keras.utils.PyDataset` or generator of `(x, y)` or `(x, y, sample_weight)`
            with dicts by task. Any other stream is returned as it is.
        tasks: Names of the tasks whose labels to look for; the search ends when all were seen.
    """
    if keras.backend.backend() != "tensorflow":
        return stream
    if isinstance(stream, keras.utils.PyDataset):
        count = stream.num_batches
        indices = range(_LIMIT if count is None else min(count, _LIMIT))
        layout, _ = _first_layout((stream[index] for index in indices), tasks)
        return _UniformDataset(stream, layout)
    if isinstance(stream, GeneratorType):
        layout, first = _first_layout(itertools.islice(stream, _LIMIT), tasks)
        return _uniform_batches(itertools.chain(first, stream), layout)
    return stream


class _Layout:
    """How the labels of each task look, and which tasks have sample weights."""

    def __init__(self) -> None:
        self.labels: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.weighted = False

    def learn(self, batch: Any) -> bool:
        """Takes in a batch; returns whether it is one that can be made uniform."""
        _, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        if not isinstance(y, Mapping) or not isinstance(weight, Mapping | None):
            return False
        for name, labels in y.items():
            self.labels.setdefault(name, _look(labels))
        self.weighted |= weight is not None
        return True

    def fill(self, batch: Any) -> Any:
        """Returns the batch with labels, and weights if there are any, for all tasks."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        if not isinstance(y, Mapping) or not isinstance(weight, Mapping | None):
            return batch  # whatever it is, the checks of data say so
        new = [name for name in y if name not in self.labels]
        if new or (weight is not None and not self.weighted):
            raise ValueError(
                "Expected a stream whose first batches show the labels and sample weights of "
                "all tasks that it has, since TensorFlow lays its pipeline out from them; put "
                "-1 or NaN there. "
                f"Received: {f'labels for {new}' if new else 'sample weights'} for the first "
                f"time after labels for {list(self.labels)}"
            )
        samples = keras.tree.flatten(x)[0].shape[0]
        labels = {
            name: _as(y[name], dtype) if name in y else _unlabelled(samples, dtype, shape)
            for name, (dtype, shape) in self.labels.items()
        }
        if not self.weighted:
            return x, labels
        ones = np.ones(samples, "float32")
        weight = weight or {}
        return x, labels, {name: weight.get(name, ones) for name in labels}


def _first_layout(batches: Iterable[Any], tasks: Iterable[str]) -> tuple[_Layout, list[Any]]:
    layout, seen = _Layout(), []
    for batch in batches:
        seen.append(batch)
        if not layout.learn(batch) or layout.labels.keys() >= set(tasks):
            break
    return layout, seen


def _uniform_batches(batches: Iterable[Any], layout: _Layout) -> Iterator[Any]:
    for batch in batches:
        yield layout.fill(batch)


class _UniformDataset(keras.utils.PyDataset):
    """A data set that fills in what batches of another one lack."""

    def __init__(self, dataset: keras.utils.PyDataset, layout: _Layout) -> None:
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self.dataset = dataset
        self.layout = layout

    @property
    def num_batches(self) -> int | None:
        return self.dataset.num_batches

    def __getitem__(self, index: int) -> Any:
        return self.layout.fill(self.dataset[index])

    def on_epoch_begin(self) -> None:
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.dataset.on_epoch_end()


def _look(labels: Any) -> tuple[str, tuple[int, ...]]:
    """The dtype, one that has a value for "unlabelled", and shape of a sample's label."""
    labels = labels if hasattr(labels, "dtype") else np.asarray(labels)
    dtype = keras.backend.standardize_dtype(labels.dtype)
    if dtype == "bool" or dtype.startswith("uint"):
        dtype = "int64"
    return dtype, tuple(labels.shape[1:])


def _as(labels: Any, dtype: str) -> Any:
    if hasattr(labels, "dtype") and keras.backend.standardize_dtype(labels.dtype) == dtype:
        return labels
    return keras.ops.convert_to_numpy(labels).astype(dtype)


def _unlabelled(samples: int, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.full((samples, *shape), np.nan if "float" in dtype else -1, dtype)
