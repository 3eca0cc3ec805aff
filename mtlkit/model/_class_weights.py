"""Weights of the classes of a task, in its training loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from mtlkit.heads import AdoptedHead, DenseHead, HierarchicalHead
from mtlkit.model.task import BALANCED, Task


class ClassWeights:
    """The weights of a task's classes, kept in a variable of the model.

    Args:
        task: A task with `class_weight`.
        variable: A variable of shape `(classes,)`, all zero until the weights are known.
    """

    def __init__(self, task: Task, variable: Any) -> None:
        self._task = task
        self._variable = variable

    @staticmethod
    def first(task: Task) -> np.ndarray:
        """The weights with which a task begins: as they were given, or not known yet."""
        weights = np.zeros(classes_of(task), "float32")
        if isinstance(task.class_weight, Mapping):
            weights[:] = 1
            for label, weight in task.class_weight.items():
                weights[label] = weight
        return weights

    @property
    def _of_pixels(self) -> bool:
        return isinstance(self._task.head, DenseHead)

    def _classes(self, labels: Any) -> Any:
        """Labels with one class a sample, or a pixel, checked: a loss may take others."""
        if self._of_pixels:
            return labels[..., 0] if len(labels.shape) == 4 else labels
        if len(labels.shape) > 1 and tuple(labels.shape[1:]) != (1,):
            raise ValueError(
                f"Task {self._task.name!r}: expected one class a sample, of shape (samples,), for "
                f"class_weight. Received: labels of shape {tuple(labels.shape)}. Give classes, or "
                f"sample_weight={{{self._task.name!r}: weights}} to fit"
            )
        return labels.reshape(-1) if isinstance(labels, np.ndarray) else ops.reshape(labels, (-1,))

    @property
    def adapted(self) -> bool:
        """Whether the weights are known."""
        return bool(np.any(ops.convert_to_numpy(self._variable) > 0))

    def adapt(self, y: Any, sample_weight: Any = None) -> None:
        """Sets balanced weights, whose mean over what is labelled is 1, by training labels."""
        from sklearn.utils.class_weight import compute_class_weight

        labels = self._classes(np.asarray(y))
        known = labels != -1
        if labels.dtype.kind == "f":
            known &= ~np.isnan(labels)
        if sample_weight is not None:
            used = np.asarray(sample_weight).reshape(-1) > 0
            known &= used.reshape((-1,) + (1,) * (labels.ndim - 1))
        if not known.any():
            return
        classes = np.unique(labels[known]).astype("int64")
        weights = np.ones(self._variable.shape[0], "float32")
        weights[classes] = compute_class_weight(BALANCED, classes=classes, y=labels[known])
        self._variable.assign(weights)

    def copy_to(self, other: ClassWeights) -> None:
        """Gives these weights to those of the same task in another model."""
        other._variable.assign(ops.convert_to_numpy(self._variable))

    def times(self, labels: Any, sample_weight: Any = None) -> Any:
        """Returns sample weights times those of the classes, one for each sample or pixel."""
        labels = ops.maximum(ops.cast(self._classes(labels), "int32"), 0)
        weight = ops.take(ops.convert_to_tensor(self._variable), labels, axis=0)
        # Steps of a user's own may come before the weights are known.
        weight = ops.where(ops.any(self._variable > 0), weight, ops.ones_like(weight))
        if sample_weight is None:
            return weight
        own = ops.reshape(sample_weight, (-1,) + (1,) * (len(weight.shape) - 1))
        return weight * ops.cast(own, weight.dtype)


def classes_of(task: Task) -> int:
    """The number of classes of a task with `class_weight`, checked."""
    head: Any = task.head
    kind = getattr(head, "kind", "classification")
    if isinstance(head, AdoptedHead):
        takes = len(head.output_shape) == 2 and kind in ("classification", "binary")
        count = max(2, head.output_shape[-1] or 0) if takes else 0
    elif isinstance(head, HierarchicalHead):
        count = head.hierarchy.num_nodes  # labels may be groups
    elif getattr(head, "labels", "bins") != "bins":
        count = 0
    else:
        count = int(getattr(head, "num_classes", getattr(head, "num_bins", 0)) or 0)
    if not count:
        raise ValueError(
            f"Task {task.name!r}: expected class_weight=None, since its labels are no classes in "
            f"one row of numbers. Received: class_weight={task.class_weight!r} and "
            f"{type(head).__name__}. Give fit sample_weight={{{task.name!r}: weights}}, by sample"
        )
    if isinstance(task.class_weight, Mapping):
        unknown = [label for label in task.class_weight if label >= count]
        if unknown:
            raise ValueError(
                f"Task {task.name!r}: expected class_weight for classes 0...{count - 1}. "
                f"Received: class {unknown[0]}"
            )
    return count
