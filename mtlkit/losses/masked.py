"""Partial labels: losses that are the mean over the labelled samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import keras
from keras import ops

#: The reductions that Keras takes as "divide by how many there are".
_MEANS = ("sum_over_batch_size", "mean")


def labelled(y: Any) -> Any:
    """Tells which samples have a label.

    A label is missing where it is NaN (floating-point labels; any NaN in a sample's
    label counts) or -1 (integer labels).

    Args:
        y: Labels of shape `(batch, ...)`.

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
    dtype = keras.backend.standardize_dtype(y.dtype)
    if "float" in dtype:
        present = ops.logical_not(ops.isnan(y))
    elif dtype.startswith("int"):
        present = ops.not_equal(y, -1)
    else:  # Unsigned integers and booleans have no -1.
        present = ops.ones_like(y, dtype="bool")
    axes = tuple(range(1, len(y.shape)))
    return ops.all(present, axis=axes) if axes else present


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
    present = ops.reshape(present, (-1,) + (1,) * (len(y.shape) - 1))
    return ops.where(present, y, ops.zeros_like(y))


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
    return ops.reshape(weight, (-1,) + (1,) * (rank - 1))


def loss_rank(y_pred: Any) -> int:
    """Number of axes of the losses of outputs, whose last axis a loss reduces."""
    return max(1, len(y_pred.shape) - 1)


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
    with; so it may be used as it is, or in a `MaskedLoss`, which leaves it alone. Subclasses
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
        present = labelled(y_true)
        labels = fill_missing(y_true, present)
        outputs = ops.cast(y_pred, "float32")
        return self.of_batch(labels, outputs, masked_weight(present, sample_weight), present)

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

    Args:
        loss: A `keras.losses.Loss`, a function of `(y_true, y_pred)`, or the name of one.
        name: Name of the loss. `None`: that of `loss`.
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

    def __init__(self, loss: Any, name: str | None = None, **kwargs: Any) -> None:
        self.loss: keras.losses.Loss = _as_loss(loss)
        super().__init__(name=name or self.loss.name, **kwargs)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if isinstance(self.loss, BatchLoss):
            return self.loss(y_true, y_pred, sample_weight)
        present = labelled(y_true)
        value = self.loss(
            align_labels(fill_missing(y_true, present), y_pred),
            y_pred,
            sample_weight=masked_weight(present, sample_weight, loss_rank(y_pred)),
        )
        if self.loss.reduction not in _MEANS:
            return value
        # Keras divided by the size of the batch.
        batch = ops.cast(ops.shape(present)[0], value.dtype)
        samples = ops.sum(ops.cast(present, value.dtype))
        return value * (batch / ops.maximum(samples, 1.0))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.loss.call(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "loss": keras.saving.serialize_keras_object(self.loss)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MaskedLoss:
        config = dict(config)
        config["loss"] = keras.saving.deserialize_keras_object(config["loss"])
        return cls(**config)


def _as_loss(loss: Any) -> keras.losses.Loss:
    if isinstance(loss, MaskedLoss):
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
