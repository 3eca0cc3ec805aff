"""Partial labels: losses that are the mean over the labelled samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.backend import get_keras_mask  # Keras has no public name for it

from mtlkit.losses._partial_labels import (
    Entries,
    PartialLabels,
    align_labels,
    as_column,
    loss_rank,
    masked_weight,
    of_pixels,
)
from mtlkit.losses._replicas import (
    gather_over_replicas,
    num_replicas,
    own_share,
    sum_over_replicas,
)

#: The reductions that Keras takes as "divide by how many there are".
_MEANS = ("sum_over_batch_size", "mean")


def unlabelled_loss(y_pred: Any) -> Any:
    """The loss of a batch without labels: zero, with a zero gradient rather than none.

    Args:
        y_pred: Outputs of any shape.

    Returns:
        A scalar, 0 even where outputs are not finite.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import unlabelled_loss

        assert float(unlabelled_loss(np.array([1.0, np.inf]))) == 0.0
        ```
    """
    nowhere = ops.zeros_like(y_pred, dtype="bool")
    return ops.cast(ops.sum(ops.where(nowhere, y_pred, ops.zeros_like(y_pred))), "float32")


class BatchLoss(keras.losses.Loss, ABC):
    """A loss of a batch as a whole, such as one that compares its samples with each other.

    It masks missing labels itself, since a sample without a label must not even be compared
    with; so it may be used as it is, or in a `MaskedLoss`, which leaves it alone. With several
    devices each of them computes the loss of the whole batch, and returns its share. Subclasses
    define `of_batch`.

    Args:
        name: Name of the loss. `None`: made from that of the class.
        **kwargs: Passed on to `keras.losses.Loss`.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.losses import BatchLoss

        class Spread(BatchLoss):
            def of_batch(self, labels, outputs, weight, present):
                return ops.sum(weight * ops.square(outputs[:, 0]))

        assert float(Spread()(np.array([0, -1]), np.array([[2.0], [3.0]]))) == 4.0
        ```
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return loss_of_batch(self, PartialLabels(y_true), y_pred, sample_weight)

    @abstractmethod
    def of_batch(self, labels: Any, outputs: Any, weight: Any, present: Any) -> Any:
        """Computes the loss of a batch.

        Args:
            labels: Labels of shape `(batch, ...)`, in the dtype that they came in, zero where
                missing.
            outputs: Outputs of shape `(batch, ...)`, float32.
            weight: Sample weights of shape `(batch,)`, float32, zero where the label is missing.
            present: Which samples have a label, of shape `(batch,)`.

        Returns:
            A scalar, float32: finite, and 0 with zero gradient where no sample has a label.
        """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self(y_true, y_pred)


@keras.saving.register_keras_serializable(package="mtlkit")
class MaskedLoss(keras.losses.Loss):
    """Applies a loss to the samples that have a label.

    With per-sample losses `l_i`, sample weights `w_i` (1 unless given) and the set `S` of
    labelled samples, the value is `sum_{i in S} w_i l_i / |S|`, and 0 with zero gradient
    where `S` is empty. With every label present that is the loss itself. A loss whose
    reduction is `"sum"` stays a sum over `S`, and one that divides by the sum of the
    weights still does. A `BatchLoss`, which masks by itself, is left alone.

    With `by_entry`, a label is an array such as the classes of an image's pixels, and each of its
    numbers may be missing by itself. A loss with one value a pixel is then the mean over all pixels
    of the batch that have a label, as with `ignore_class` in Keras. A loss with an attribute
    `by_entry`, as `mtlkit.losses.MultiLabelCrossEntropy` has it, knows by itself which numbers are
    missing: they come as they are, and `S` are the samples that have some.

    A function that gives one number for the batch, rather than one a sample, cannot be masked:
    it is as it is where all samples have a label, 0 where none has, and else NaN. Write it as
    one value a sample, or as a `BatchLoss`.

    With several devices that is the loss of the whole batch: under a `tf.distribute.Strategy`
    each replica returns its share, the loss divided by their number, as Keras's losses do.

    Args:
        loss: A `keras.losses.Loss`, a function of `(y_true, y_pred)`, or the name of one.
        name: Name of the loss. `None`: that of `loss`.
        by_entry: What the numbers of a label are, where each may be missing by itself:
            `"classes"`, missing as -1 or NaN, or `"values"`, missing as NaN (among integers,
            as -1). `None`: as the loss says, or else a label is there as a whole or not.
        **kwargs: Passed on to `keras.losses.Loss`.

    Raises:
        ValueError: If the loss is not known, or does not reduce to one number.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import MaskedLoss

        loss = MaskedLoss("mean_squared_error")
        value = loss(np.array([[1.0], [np.nan]]), np.array([[3.0], [7.0]]))
        assert float(value) == 4.0
        ```
    """

    def __init__(
        self,
        loss: Any,
        name: str | None = None,
        by_entry: Entries | None = None,
        **kwargs: Any,
    ) -> None:
        if type(loss) is MaskedLoss:
            by_entry = by_entry or loss.by_entry
        self.loss: keras.losses.Loss = _as_loss(loss)
        self.by_entry: Entries | None = by_entry or getattr(self.loss, "by_entry", None)
        super().__init__(name=name or self.loss.name, **kwargs)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        labels = PartialLabels(y_true, by_entry=self.by_entry)
        return self.of_labels(labels, y_pred, sample_weight)

    def of_labels(self, labels: PartialLabels, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of labels that were looked at before; else as when called."""
        return loss_of_batch(self.loss, labels, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.loss.call(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "loss": keras.saving.serialize_keras_object(self.loss),
            "by_entry": self.by_entry,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MaskedLoss:
        config = dict(config)
        config["loss"] = keras.saving.deserialize_keras_object(config["loss"])
        return cls(**config)


def loss_of_batch(
    loss: keras.losses.Loss, labels: PartialLabels, y_pred: Any, sample_weight: Any = None
) -> Any:
    """The loss of the samples that have a label; with several replicas, this one's share.

    Args:
        loss: What a `MaskedLoss` applies, or a `BatchLoss`.
        labels: The labels of the batch.
        y_pred: Outputs.
        sample_weight: Weights of shape `(batch,)` or `(batch, 1)`, or `None` for ones.

    Returns:
        A scalar.
    """
    if isinstance(loss, BatchLoss):
        return _whole(loss, labels, y_pred, sample_weight)
    y_pred = as_column(y_pred)
    if type(loss).__call__ is not keras.losses.Loss.__call__:
        return _reduced_by_itself(loss, labels, y_pred, sample_weight)
    outputs = ops.convert_to_tensor(y_pred, dtype=loss.dtype)
    if labels.by_entry and not hasattr(loss, "by_entry"):
        return _loss_of_pixels(loss, labels, outputs, sample_weight)
    y_true = ops.cast(align_labels(labels.values, outputs), loss.dtype)
    losses = loss.call(y_true, outputs)
    if len(losses.shape) == 0:
        return _whole(loss, labels, outputs, sample_weight)
    mask = _mask(y_pred, losses)
    losses = ops.convert_to_tensor(losses, dtype=loss.dtype)
    return _reduced(losses, mask, labels, sample_weight, loss.reduction)


def _loss_of_pixels(
    loss: keras.losses.Loss, labels: PartialLabels, outputs: Any, sample_weight: Any
) -> Any:
    """The loss of the pixels that have a label, as a mean over all of the batch."""
    values, known = align_labels(labels.values, outputs), align_labels(labels.known, outputs)
    filled = ops.where(known, values, ops.zeros_like(values))
    losses = loss.call(ops.cast(filled, loss.dtype), outputs)
    known = of_pixels(known, len(losses.shape))
    if len(losses.shape) < 2 or len(known.shape) != len(losses.shape):
        raise ValueError(
            "Expected a loss with one value for each pixel, since each pixel may be without a "
            f"label. Received: {loss.name!r}, with values of shape {tuple(losses.shape)} for "
            f"outputs of shape {tuple(outputs.shape)}"
        )
    if sample_weight is not None and len(sample_weight.shape) == len(losses.shape):
        losses, sample_weight = losses * ops.cast(sample_weight, losses.dtype), None
    return _reduced(losses, known, labels, sample_weight, loss.reduction)


def _reduced(
    losses: Any, mask: Any, labels: PartialLabels, sample_weight: Any, reduction: str
) -> Any:
    """Reduces losses of shape `(batch, ...)`, of which a mask may leave some out."""
    inner = tuple(range(1, len(losses.shape)))
    size = None  # of each sample; `None`: one
    if mask is not None:
        mask = ops.cast(mask, losses.dtype)
        losses = losses * mask
        size = ops.sum(mask, axis=inner) if inner else mask
    if inner:
        add_up = reduction == "sum" or mask is not None
        losses = ops.sum(losses, axis=inner) if add_up else ops.mean(losses, axis=inner)
    weight = labels.weight(sample_weight)
    total = ops.sum(losses if weight is None else losses * ops.cast(weight, losses.dtype))
    if reduction == "sum":
        (total,) = sum_over_replicas(total)
        return own_share(total)
    counted = labels.weight(None if reduction in _MEANS else sample_weight)
    if counted is None:
        number = labels.samples if size is None else ops.sum(size)
    elif size is None:
        number = labels.samples if counted is labels.indicator else ops.sum(counted)
    else:
        number = ops.sum(counted * ops.cast(size, counted.dtype))
    total, number = sum_over_replicas(total, ops.cast(number, total.dtype))
    return own_share(_over(total, number))


def _over(total: Any, number: Any) -> Any:
    """A total divided by a number, 0 where that is 0.

    The gradient of `ops.divide_no_nan` is NaN there in Keras 3.12 on PyTorch.
    """
    none = number == 0
    divisor = ops.where(none, ops.ones_like(number), number)
    return ops.where(none, ops.zeros_like(total), total / divisor)


def _whole(loss: keras.losses.Loss, labels: PartialLabels, y_pred: Any, sample_weight: Any) -> Any:
    """A replica's share of a loss that needs the whole batch."""
    if num_replicas() > 1:
        labels = labels.gathered()
        y_pred = gather_over_replicas(y_pred)
        sample_weight = gather_over_replicas(sample_weight)
    weight = labels.weight(sample_weight)
    if isinstance(loss, BatchLoss):
        weight = labels.indicator if weight is None else weight
        outputs = ops.cast(y_pred, "float32")
        return own_share(loss.of_batch(labels.values, outputs, weight, labels.present))
    value = loss.call(ops.cast(align_labels(labels.values, y_pred), loss.dtype), y_pred)
    if weight is not None and sample_weight is not None:
        value = value * ops.cast(ops.divide_no_nan(ops.sum(weight), labels.samples), value.dtype)
    if not labels.complete:
        some_are_missing = ops.where(labels.samples > 0, np.nan, 0.0)
        value = ops.where(ops.all(labels.present), value, ops.cast(some_are_missing, value.dtype))
    return own_share(value)


def _reduced_by_itself(
    loss: keras.losses.Loss, labels: PartialLabels, y_pred: Any, sample_weight: Any
) -> Any:
    """The value of a loss whose class redefines how Keras calls it."""
    if num_replicas() > 1:
        raise ValueError(
            "Expected, on several devices, a loss that defines call(y_true, y_pred) with one value "
            "a sample, or a mtlkit.losses.BatchLoss. "
            f"Received: {type(loss).__name__}, which defines __call__"
        )
    weight = masked_weight(labels.present, sample_weight, loss_rank(y_pred))
    value = loss(align_labels(labels.values, y_pred), y_pred, sample_weight=weight)
    if loss.reduction not in _MEANS:
        return value
    # Keras divided by the size of the batch.
    batch = ops.cast(ops.shape(labels.present)[0], value.dtype)
    return value * (batch / ops.maximum(ops.cast(labels.samples, value.dtype), 1.0))


def _mask(y_pred: Any, losses: Any) -> Any:
    """Which of the losses count by Keras's masks, of padded steps and of ignored classes."""
    masks = [mask for mask in map(get_keras_mask, (y_pred, losses)) if mask is not None]
    return ops.logical_and(*masks) if len(masks) == 2 else (masks or [None])[0]


def _as_loss(loss: Any) -> keras.losses.Loss:
    if type(loss) is MaskedLoss:  # subclasses do more than mask
        return loss.loss
    if isinstance(loss, str | type):
        loss = keras.losses.get(loss)
    if not isinstance(loss, keras.losses.Loss):
        if not callable(loss):
            raise ValueError(
                f"Expected a Keras loss, a function or the name of one. Received: {loss!r}"
            )
        loss = FunctionLoss(loss)
    if loss.reduction in (None, "none"):
        raise ValueError(
            "Expected a loss that reduces to one number, such as with "
            f'reduction="sum_over_batch_size". Received: {loss!r} with reduction={loss.reduction!r}'
        )
    return loss


@keras.saving.register_keras_serializable(package="mtlkit")
class FunctionLoss(keras.losses.Loss):
    """A loss made from a function of `(y_true, y_pred)` that returns one value a sample.

    Args:
        function: The function. To be saved, it must be one of Keras's or registered with
            `keras.saving.register_keras_serializable`.
        name: Name of the loss. `None`: that of the function.
        **kwargs: Passed on to `keras.losses.Loss`.

    Example:
        ```python
        import keras
        import numpy as np
        from mtlkit.losses import FunctionLoss

        loss = FunctionLoss(keras.losses.mean_squared_error)
        assert float(loss(np.zeros((2, 1)), np.ones((2, 1)))) == 1.0
        ```
    """

    def __init__(self, function: Any, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name or getattr(function, "__name__", "loss"), **kwargs)
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(align_labels(y_true, y_pred), y_pred)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "function": keras.saving.serialize_keras_object(self.function),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FunctionLoss:
        config = dict(config)
        config["function"] = keras.saving.deserialize_keras_object(config["function"])
        return cls(**config)
