"""The container of a multi-task data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._arrays import as_array, numbering_cure
from mtlkit.datasets._label_kinds import LabelKind, as_kind
from mtlkit.metrics._labels import is_labelled
from mtlkit.metrics._text_table import text_table

#: The splits, in the order in which they are shown.
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False, repr=False)
class MultiTaskData:
    """Inputs with labels for several tasks, split for training, validation and test.

    An integer label of -1 and a float label of NaN mean unlabelled. Arrays are taken as
    they are, without a copy; the tasks of every split are put in the order of `y_train`.

    Args:
        x_train: Training inputs, such as images or columns, of shape `(samples, ...)`.
        y_train: Training labels by task, each of shape `(samples, ...)`: integers
            `0 ... num_classes - 1` for classes, floats for values.
        x_val: Validation inputs.
        y_val: Validation labels by task.
        x_test: Test inputs.
        y_test: Test labels by task.
        name: What to call the data set.
        kinds: What the labels of a task are, where their type does not tell: `"classes"`,
            `"values"`, `"orientation:36"` (a circle of 36 bins), `"ordinal"` (grades) or
            `"labels"` (a row of 0 or 1); see `with_kinds`.
        class_names: Names of the classes by task, where they have some.

    Raises:
        ValueError: If a split is empty, the numbers of samples disagree, the splits differ
            in tasks or in the shape of inputs, an integer label is below -1, something is not an
            array of numbers, or `kinds` or `class_names` name no task.

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
    kinds: Mapping[str, str] = field(default_factory=dict)
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)

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
                    f"Expected inputs of shape {self.x_train.shape[1:]} in x_{split}, as in "
                    f"x_train. Received: {x.shape[1:]}"
                )
        for what in ("kinds", "class_names"):
            if unknown := [task for task in getattr(self, what) if task not in self.tasks]:
                raise ValueError(
                    f"Expected {what} of the tasks {list(self.tasks)}. Received: {unknown}"
                )

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks, in the order of `y_train`."""
        return tuple(self.y_train)

    def splits(self) -> Iterator[tuple[str, NDArray, dict[str, NDArray]]]:
        """Yields the name, the inputs and the labels of each split."""
        for split in SPLITS:
            yield split, getattr(self, f"x_{split}"), getattr(self, f"y_{split}")

    def kind(self, task: str) -> LabelKind:
        """Returns what the labels of a task are: `name`, and `size` where it was given.

        Args:
            task: Name of the task.
        """
        given = self.kinds.get(task)
        return LabelKind.parsed(given, task) if given else LabelKind.of(self.y_train[task])

    def with_kinds(self, kinds: Mapping[str, str]) -> MultiTaskData:
        """Returns the same data with labels of other kinds, in the form that these have.

        Args:
            kinds: By task, `"classes"`, `"values"`, `"orientation"`, `"ordinal"` or `"labels"`,
                with the number of classes or bins behind a colon, such as `"orientation:36"`,
                where it is not one more than the largest label. Numbers that become classes are
                numbered anew, and named. Whole numbers from the number of bins on, and floats,
                are degrees.

        Returns:
            The data; inputs are not copied.

        Raises:
            ValueError: If there is no such task or kind, or labels cannot be read as one.
        """
        if unknown := [task for task in kinds if task not in self.tasks]:
            raise ValueError(f"Expected kinds of the tasks {list(self.tasks)}. Received: {unknown}")
        splits: dict[str, Any] = {f"y_{split}": dict(y) for split, _, y in self.splits()}
        names = dict(self.class_names)
        for task, text in kinds.items():
            known = names.pop(task, None)
            parts = [y[task] for y in splits.values()]
            labels, found = as_kind(
                np.concatenate(parts),
                None if known is None else list(known),
                LabelKind.parsed(text, task),
                task,
            )
            ends = np.cumsum([len(part) for part in parts])[:-1]
            for y, part in zip(splits.values(), np.split(labels, ends), strict=True):
                y[task] = part
            if found is not None:
                names[task] = found
        return replace(self, **splits, kinds={**self.kinds, **kinds}, class_names=names)

    def num_classes(self, task: str) -> int:
        """Returns the number of classes or bins of a task: given, or one more than the largest.

        Args:
            task: Name of the task.
        """
        size = self.kind(task).size
        if size is None:
            largest = max((int(y[task].max()) for _, _, y in self.splits()), default=-1)
            size = max(largest + 1, len(self.class_names.get(task, ())))
        return size

    def summary(self) -> str:
        """Describes the splits, the tasks, and what each task is worth without learning.

        The baselines are chance (`1 / num_classes`) and what a constant prediction scores on
        the test split: the accuracy of the most frequent training class, or the mean absolute
        error (MAE) of the training median.

        Returns:
            Two plain-text tables under the name of the data set.
        """
        splits = text_table(
            ["split", "samples", self._shape_in_words(), "dtype", "range"],
            [_describe_split(split, x) for split, x, _ in self.splits()],
        )
        tasks = text_table(
            ["task", "kind", "labelled (train / val / test)", "training labels", "baselines"],
            [self._describe_task(task) for task in self.tasks],
        )
        return f"{self.name}\n\n{splits}\n\n{tasks}"

    def save_npz(self, path: str | Path) -> None:
        """Writes the arrays, kinds and names to a compressed archive that `load_npz` reads.

        Args:
            path: The file, taken as it is and overwritten.
        """
        arrays: dict[str, Any] = {}
        for split, x, y in self.splits():
            arrays[f"x_{split}"] = x
            arrays.update({f"y_{split}_{task}": labels for task, labels in y.items()})
        arrays.update({f"kind_{task}": np.array(kind) for task, kind in self.kinds.items()})
        arrays.update({f"names_{task}": list(some) for task, some in self.class_names.items()})
        with open(path, "wb") as file:  # given a name, numpy might append ".npz" to it
            np.savez_compressed(file, **arrays)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split}={len(x)}" for split, x, _ in self.splits())
        return f"MultiTaskData(name={self.name!r}, tasks={self.tasks}, {sizes})"

    def _shape_in_words(self) -> str:
        """What the shape of a sample is, by its axes."""
        return {1: "columns", 3: "image shape"}.get(self.x_train.ndim - 1, "shape")

    def _describe_task(self, task: str) -> list[str]:
        labels = [y[task] for _, _, y in self.splits()]
        kind = str(self.kind(task))
        counts = " / ".join(f"{is_labelled(y).sum():,}" for y in labels)
        train, val, test = (y[is_labelled(y)].astype(_kind_dtype(labels[0])) for y in labels)
        if train.dtype.kind == "f":
            degrees = self.kind(task).name == "orientation"  # of which a mean says nothing
            chance = f"chance {100 / self.num_classes(task):.1f} %" if degrees else ""
            known = chance or _values_baseline(train, test)
            return [task, kind, counts, _describe_values(train), known]
        num_classes = max((int(y.max()) + 1 for y in (train, val, test) if y.size), default=0)
        return [
            task,
            kind,
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
            f"Expected x_{split} to hold inputs, of shape (samples, ...), and at least one. "
            f"Received: x_{split}.shape={x.shape}"
        )
    for task, labels in y.items():
        if labels.shape[:1] != x.shape[:1]:
            raise ValueError(
                f"Expected {len(x)} labels in y_{split}['{task}'], one for each sample of "
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
