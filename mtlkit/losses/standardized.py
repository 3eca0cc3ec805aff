"""Losses of standardised targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from mtlkit.losses._partial_labels import PartialLabels, align_labels
from mtlkit.losses.masked import MaskedLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class StandardizedLoss(MaskedLoss):
    """Applies a loss to labels and outputs less their mean, over their scale.

    With the mean `m` and scale `s` of each unit the value is that of
    `mtlkit.losses.MaskedLoss` at `(y - m) / s` and `(outputs - m) / s`, in float32. So the
    unit of the labels changes neither the loss nor its gradient at the weights.

    Args:
        loss: As in `mtlkit.losses.MaskedLoss`.
        statistics: `(mean, scale)`, numbers or one for each unit, or a function that returns
            them, such as that of a head whose `adapt` sets them later. What it returns when
            the loss is saved is saved.
        name: Name of the loss. `None`: that of `loss`.
        **kwargs: Passed on to `keras.losses.Loss`.

    Raises:
        ValueError: If the loss is not known, or does not reduce to one number.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import StandardizedLoss

        loss = StandardizedLoss("mean_squared_error", (5000.0, 1000.0))
        value = loss(np.array([[4000.0], [np.nan]]), np.array([[6000.0], [7.0]]))
        assert float(value) == 4.0
        ```
    """

    def __init__(
        self,
        loss: Any,
        statistics: tuple[Any, Any] | Callable[[], tuple[Any, Any]] = (0.0, 1.0),
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        while isinstance(loss, MaskedLoss):  # standardised once, and masked once
            kwargs.setdefault("by_entry", loss.by_entry)
            loss = loss.loss
        super().__init__(loss, name, **kwargs)
        self._statistics = statistics

    def of_labels(self, labels: PartialLabels, y_pred: Any, sample_weight: Any = None) -> Any:
        mean, scale = (ops.cast(ops.convert_to_tensor(s), "float32") for s in self._pair())

        def standardized(values: Any) -> Any:
            return (ops.cast(align_labels(values, y_pred), "float32") - mean) / scale

        labels = labels.transformed(standardized)
        return super().of_labels(labels, standardized(y_pred), sample_weight)

    def get_config(self) -> dict[str, Any]:
        mean, scale = (ops.convert_to_numpy(s).tolist() for s in self._pair())
        return {**super().get_config(), "statistics": [mean, scale]}

    def _pair(self) -> tuple[Any, Any]:
        mean, scale = self._statistics() if callable(self._statistics) else self._statistics
        return mean, scale
