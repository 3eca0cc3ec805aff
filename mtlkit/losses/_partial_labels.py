"""Partial labels: which samples of a batch have one, and what losses and metrics read of it."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import Any, Literal

import keras
from keras import ops

from mtlkit.losses._replicas import gather_over_replicas

#: What the numbers of a label are, where each may be missing by itself: classes, which are not
#: negative, missing as -1 or NaN; or values, missing as NaN (among integers, as -1).
Entries = Literal["classes", "values"]


def can_miss(dtype: str) -> bool:
    """Whether labels of a dtype have a value for "missing": NaN or -1."""
    return "float" in dtype or dtype.startswith("int")


def labelled(y: Any, by_entry: Entries | None = None) -> Any:
    """Tells which samples have a label.

    A label is missing where it is NaN (floating-point labels; any NaN in a sample's
    label counts) or -1 (integer labels).

    Args:
        y: Labels of shape `(batch, ...)`.
        by_entry: Where each number of a sample's label may be missing by itself, what they are:
            `"classes"`, missing as -1 or NaN, or `"values"`, missing as above. The sample then
            has a label if one of them is there. `None`: a label is there or not.

    Returns:
        A boolean tensor of shape `(batch,)`.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import labelled

        assert list(np.asarray(labelled(np.array([3, -1, 0])))) == [True, False, True]
        ```
    """
    y = ops.convert_to_tensor(y)
    present = known_entries(y, by_entry or "values")
    for axis in reversed(range(1, len(y.shape))):  # Keras 3.12 on PyTorch takes one at a time
        present = ops.any(present, axis) if by_entry else ops.all(present, axis)
    return present


def known_entries(y: Any, entries: Entries) -> Any:
    """Which numbers of labels are there: booleans, of the labels' shape."""
    dtype = keras.backend.standardize_dtype(y.dtype)
    if not can_miss(dtype):
        return ops.ones_like(y, dtype="bool")
    if entries == "classes":
        return y >= 0  # NaN is not
    return ops.logical_not(ops.isnan(y)) if "float" in dtype else ops.not_equal(y, -1)


def fill_missing(y: Any, present: Any) -> Any:
    """Replaces missing labels by zero, so that what is computed from them is finite.

    NaN times zero is NaN: a label must be replaced before the loss, not weighted after it.

    Args:
        y: Labels of shape `(batch, ...)`.
        present: Which samples have a label, of shape `(batch,)`.

    Returns:
        Labels of the same shape.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import fill_missing, labelled

        y = np.array([0.5, np.nan])
        assert np.asarray(fill_missing(y, labelled(y)))[1] == 0
        ```
    """
    y = ops.convert_to_tensor(y)
    if len(y.shape) > 1:
        present = ops.reshape(present, (-1,) + (1,) * (len(y.shape) - 1))
    return ops.where(present, y, ops.zeros_like(y))


def as_column(y_pred: Any) -> Any:
    """Makes predictions of shape `(batch,)` a column, since losses reduce the last axis."""
    return ops.expand_dims(y_pred, -1) if len(y_pred.shape) == 1 else y_pred


def align_labels(y_true: Any, y_pred: Any) -> Any:
    """Makes labels of shape `(batch,)` a column where predictions are one.

    Otherwise `y_true - y_pred` in a user's own loss or metric would be a matrix, in silence.

    Args:
        y_true: Labels of shape `(batch, ...)`.
        y_pred: Predictions.

    Returns:
        The labels, of shape `(batch, ..., 1)` if predictions have just this axis more.
    """
    shape = tuple(getattr(y_pred, "shape", ()))
    if len(shape) == len(y_true.shape) + 1 and shape[-1] == 1:
        return ops.expand_dims(y_true, -1)
    return y_true


def of_pixels(known: Any, rank: int) -> Any:
    """Which pixels have all of their numbers, of a shape with `rank` axes, from which are there."""
    return ops.all(known, axis=-1) if len(known.shape) == rank + 1 else known


def masked_weight(present: Any, sample_weight: Any = None, rank: int = 1) -> Any:
    """Returns float32 sample weights, zero where the label is missing.

    Args:
        present: Which samples have a label, of shape `(batch,)`.
        sample_weight: Weights of shape `(batch,)` or `(batch, 1)`, or `None` for ones.
        rank: Number of axes of the result, for losses that have more than the batch's.

    Returns:
        A float32 tensor of shape `(batch,)`, or `(batch, 1, ...)`.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import masked_weight

        weight = masked_weight(np.array([True, False]), np.array([2.0, 3.0]))
        assert list(np.asarray(weight)) == [2.0, 0.0]
        ```
    """
    weight = ops.cast(present, "float32")
    if sample_weight is not None:
        given = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        weight = ops.where(present, given, ops.zeros_like(given))
    return weight if rank == 1 else ops.reshape(weight, (-1,) + (1,) * (rank - 1))


def loss_rank(y_pred: Any) -> int:
    """Number of axes of the losses of outputs, whose last axis a loss reduces."""
    return max(1, len(y_pred.shape) - 1)


class PartialLabels:
    """The labels of a task in a batch, looked at once for all that read them.

    Attributes:
        given: The labels as they came, of shape `(batch, ...)`.
        complete: Whether none can be missing, as with unsigned integers.
        present: Which samples have a label, of shape `(batch,)`.
        by_entry: As in `labelled`. What is missing of a sample's label then stays in `values`,
            as it came.
        values: The labels, zero where missing; transformed, if there is a transformation.
    """

    def __init__(
        self,
        y: Any,
        transform: Callable[[Any], Any] | None = None,
        by_entry: Entries | None = None,
    ) -> None:
        self.given = ops.convert_to_tensor(y)
        self.by_entry = by_entry
        self._transform = transform
        self.complete = not can_miss(keras.backend.standardize_dtype(self.given.dtype))
        self.present = labelled(self.given, by_entry)
        values = self.given if self.complete else fill_missing(self.given, self.present)
        self.values = values if transform is None else transform(values)

    def transformed(self, transform: Callable[[Any], Any]) -> PartialLabels:
        """The same samples with other values, such as standardised ones."""
        other = copy(self)  # what was computed of the samples stays
        other._transform = transform
        other.values = transform(self.values)
        return other

    def gathered(self) -> PartialLabels:
        """The labels of the batches of all replicas."""
        return PartialLabels(gather_over_replicas(self.given), self._transform, self.by_entry)

    @cached_property
    def indicator(self) -> Any:
        """One where a sample has a label, else zero: float32, of shape `(batch,)`."""
        return masked_weight(self.present)

    @cached_property
    def known(self) -> Any:
        """Which numbers of the labels are there: booleans, of the labels' shape."""
        return known_entries(self.given, self.by_entry or "values")

    @cached_property
    def samples(self) -> Any:
        """The number of samples with a label, float32."""
        if self.complete:
            return ops.cast(ops.shape(self.given)[0], "float32")
        return ops.sum(self.indicator)

    def weight(self, sample_weight: Any = None) -> Any:
        """Sample weights of shape `(batch,)`, zero where the label is missing.

        Args:
            sample_weight: Weights of shape `(batch,)` or `(batch, 1)`, or `None` for ones.

        Returns:
            A float32 tensor, or `None` where all weights are one.
        """
        if sample_weight is not None:
            return masked_weight(self.present, sample_weight)
        return None if self.complete else self.indicator


class StepLabels:
    """The labels of a step by task: its loss looks at them, its metrics read what it saw."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Any, PartialLabels]] = {}

    def look(self, task: str, y: Any, by_entry: Entries | None) -> PartialLabels:
        """Looks at the labels of a task, and keeps what it sees."""
        labels = PartialLabels(y, by_entry=by_entry)
        self._seen[task] = y, labels
        return labels

    def take(self, task: str, y: Any, by_entry: Entries | None) -> PartialLabels:
        """What was seen of the same labels; looks at others."""
        seen, labels = self._seen.pop(task, (None, None))
        if labels is not None and seen is y:
            return labels
        return PartialLabels(y, by_entry=by_entry)
