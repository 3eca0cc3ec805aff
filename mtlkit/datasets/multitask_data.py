"""The container of a multi-task data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._arrays import as_array, numbering_cure
from mtlkit.metrics._labels import is_labelled
from mtlkit.metrics._text_table import text_table

#: The splits, in the order in which they are shown.
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False, repr=False)
class MultiTaskData:
    """Images with labels for several tasks, split for training, validation and test.

    An integer label of -1 and a float label of NaN mean unlabelled. Arrays are taken as
    they are, without a copy; the tasks of every split are put in the order of `y_train`.

    Args:
        x_train: Training images, of shape `(samples, ...)`.
        y_train: Training labels by task, each of shape `(samples, ...)`: integers
            `0 ... num_classes - 1` for classes, floats for values.
        x_val: Validation images.
        y_val: Validation labels by task.
        x_test: Test images.
        y_test: Test labels by task.
        name: What to call the data set.

    Raises:
        ValueError: If a split is empty, the numbers of samples disagree, the splits differ
            in tasks or image shape, an integer label is below -1, or something is not an
            array of numbers.

    Example:
        ```python
        import numpy as np
        from mtlkit.datasets import MultiTaskData

        x, y = np.zeros((6, 8, 8, 1)), {"identity": np.arange(6) % 2}
        data = MultiTaskData(x, y, x, y, x, y, name="zeros")
        assert data.tasks == ("identity",)
        print(data.summary())
        ```
    """

    x_train: NDArray
    y_train: dict[str, NDArray]
    x_val: NDArray
    y_val: dict[str, NDArray]
    x_test: NDArray
    y_test: dict[str, NDArray]
    name: str = "data"

    def __post_init__(self) -> None:
        for split in SPLITS:
            x = _numbers(getattr(self, f"x_{split}"), f"x_{split}")
            object.__setattr__(self, f"x_{split}", x)
            y = _labels(getattr(self, f"y_{split}"), split)
            _check_samples(x, y, split)
            _check_classes(y, split)
            _check_tasks(y, split, self.tasks if split != "train" else tuple(y))
            order = y if split == "train" else self.tasks
            object.__setattr__(self, f"y_{split}", {task: y[task] for task in order})
            for task, labels in y.items():
                _check_like(labels, self.y_train[task], f"y_{split}[{task!r}]")
            if x.shape[1:] != self.x_train.shape[1:]:
                raise ValueError(
                    f"Expected images of shape {self.x_train.shape[1:]} in x_{split}, as in "
                    f"x_train. Received: {x.shape[1:]}"
                )

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks, in the order of `y_train`."""
        return tuple(self.y_train)

    def splits(self) -> Iterator[tuple[str, NDArray, dict[str, NDArray]]]:
        """Yields the name, the images and the labels of each split."""
        for split in SPLITS:
            yield split, getattr(self, f"x_{split}"), getattr(self, f"y_{split}")

    def summary(self) -> str:
        """Describes the splits, the tasks, and what each task is worth without learning.

        The baselines are chance (`1 / num_classes`) and what a constant prediction scores on
        the test split: the accuracy of the most frequent training class, or the mean absolute
        error (MAE) of the training median.

        Returns:
            Two plain-text tables under the name of the data set.
        """
        splits = text_table(
            ["split", "samples", "image shape", "dtype", "range"],
            [_describe_split(split, x) for split, x, _ in self.splits()],
        )
        tasks = text_table(
            ["task", "kind", "labelled (train / val / test)", "training labels", "baselines"],
            [self._describe_task(task) for task in self.tasks],
        )
        return f"{self.name}\n\n{splits}\n\n{tasks}"

    def save_npz(self, path: str | Path) -> None:
        """Writes the arrays to a compressed archive that `load_npz` reads.

        Args:
            path: The file, taken as it is and overwritten.
        """
        arrays: dict[str, Any] = {}
        for split, x, y in self.splits():
            arrays[f"x_{split}"] = x
            arrays.update({f"y_{split}_{task}": labels for task, labels in y.items()})
        with open(path, "wb") as file:  # given a name, numpy might append ".npz" to it
            np.savez_compressed(file, **arrays)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split}={len(x)}" for split, x, _ in self.splits())
        return f"MultiTaskData(name={self.name!r}, tasks={self.tasks}, {sizes})"

    def _describe_task(self, task: str) -> list[str]:
        labels = [y[task] for _, _, y in self.splits()]
        counts = " / ".join(f"{is_labelled(y).sum():,}" for y in labels)
        train, val, test = (y[is_labelled(y)].astype(_kind_dtype(labels[0])) for y in labels)
        if train.dtype.kind == "f":
            return [task, "values", counts, _describe_values(train), _values_baseline(train, test)]
        num_classes = max((int(y.max()) + 1 for y in (train, val, test) if y.size), default=0)
        return [
            task,
            "classes",
            counts,
            _describe_classes(train, num_classes),
            _classes_baseline(train, test, num_classes),
        ]


def _numbers(values: ArrayLike, name: str) -> NDArray:
    array = np.asarray(as_array(values))
    if array.dtype.kind not in "iubf":
        cure = numbering_cure(array)
        raise ValueError(f"Expected numbers in {name}. Received: dtype={array.dtype}.{cure}")
    return array


def _labels(y: Mapping[str, ArrayLike], split: str) -> dict[str, NDArray]:
    if not isinstance(y, Mapping):
        raise ValueError(
            f"Expected y_{split} to be a dict of task name -> labels. Received: {type(y).__name__}"
        )
    return {task: _numbers(labels, f"y_{split}['{task}']") for task, labels in y.items()}


def _check_like(labels: NDArray, train: NDArray, what: str) -> None:
    """Labels of every split are of one kind and shape."""
    whole = [np.issubdtype(array.dtype, np.integer) for array in (labels, train)]
    if labels.shape[1:] != train.shape[1:] or whole[0] != whole[1]:
        raise ValueError(
            f"Expected {what} to be like the training labels: {train.dtype} of shape "
            f"{('samples', *train.shape[1:])}. Received: {labels.dtype} of shape {labels.shape}"
        )


def _check_samples(x: NDArray, y: dict[str, NDArray], split: str) -> None:
    if x.ndim < 2 or x.size == 0:
        raise ValueError(
            f"Expected x_{split} to hold images, of shape (samples, ...), and at least one. "
            f"Received: x_{split}.shape={x.shape}"
        )
    for task, labels in y.items():
        if labels.shape[:1] != x.shape[:1]:
            raise ValueError(
                f"Expected {len(x)} labels in y_{split}['{task}'], one for each image in "
                f"x_{split}. Received: shape={labels.shape}"
            )


def _check_classes(y: dict[str, NDArray], split: str) -> None:
    for task, labels in y.items():
        if labels.dtype.kind == "i" and labels.size and labels.min() < -1:
            raise ValueError(
                f"Expected integer labels in y_{split}['{task}'] to be classes 0, 1, ... or -1 for "
                f"unlabelled (values are floats). Received: {labels.min()}"
            )


def _check_tasks(y: dict[str, NDArray], split: str, tasks: tuple[str, ...]) -> None:
    if not tasks or not all(isinstance(task, str) and task for task in y):
        raise ValueError(f"Expected y_{split} to name at least one task. Received: tasks={list(y)}")
    if set(y) != set(tasks):
        raise ValueError(
            f"Expected the tasks {list(tasks)} in y_{split}, as in y_train. Received: {list(y)}"
        )


def _kind_dtype(labels: NDArray) -> str:
    # Wide enough to count and to average in, whatever the labels are stored as.
    return "float64" if labels.dtype.kind == "f" else "int64"


def _describe_split(split: str, x: NDArray) -> list[str]:
    shape = " x ".join(map(str, x.shape[1:]))
    return [split, f"{len(x):,}", shape, str(x.dtype), _range(x)]


def _describe_values(values: NDArray) -> str:
    if not values.size:
        return "no labels"
    return f"{_range(values)}, mean {values.mean():.3g}, std {values.std():.3g}"


def _values_baseline(train: NDArray, test: NDArray) -> str:
    if not (train.size and test.size):
        return "not known"
    constant = np.median(train, axis=0)
    error = np.abs(test - constant).mean()
    center = f"{constant:.3g}" if constant.ndim == 0 else "median"
    return f"constant {center}: MAE {error:.3g}"


def _describe_classes(classes: NDArray, num_classes: int) -> str:
    if not classes.size:
        return "no labels"
    share = 100 * np.bincount(classes.ravel(), minlength=num_classes) / classes.size
    return f"{num_classes} classes, {share.min():.1f} to {share.max():.1f} % each"


def _classes_baseline(train: NDArray, test: NDArray, num_classes: int) -> str:
    if not (train.size and test.size):
        return "not known"
    most_frequent = np.bincount(train.ravel()).argmax()
    accuracy = (test == most_frequent).mean()
    return f"chance {100 / num_classes:.1f} %, most frequent class {100 * accuracy:.1f} %"


def _range(values: NDArray) -> str:
    return f"{values.min():.3g} to {values.max():.3g}"
