"""What heads of values share that train on standardised labels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from mtlkit.heads._designed_head import DesignedHead
from mtlkit.heads._label_standardization import LabelStandardization, StandardizedValues
from mtlkit.losses._partial_labels import Entries
from mtlkit.losses.standardized import StandardizedLoss


class StandardizedHead(DesignedHead):
    """A head whose outputs are in the unit of its labels, while it trains on standardised ones.

    It does so where its `standardization` is not `None`. `entries` says whether each number of a
    label may be missing by itself.
    """

    standardization: LabelStandardization | None  # a value here would hide a layer on PyTorch
    entries: Entries | None = None

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.standardization is not None and not self.standardization.built:
            self.standardization.build()

    def call(self, inputs: Any, mask: Any = None) -> Any:
        outputs = super().call(inputs, mask=mask)
        return outputs if self.standardization is None else self.standardization(outputs)

    @property
    def adapted(self) -> bool:
        """Whether mean and scale of the labels are known, or not needed."""
        return self.standardization is None or self.standardization.adapted

    def adapt(self, y: Any, sample_weight: Any = None) -> None:
        """Sets mean and scale from labels, for `standardize=True`; the next step uses them.

        A unit whose labels are constant gets the scale 1. Without a label nothing is set.

        Args:
            y: Labels of shape `(samples, ..., units)`, or `(samples, ...)` where `units` is 1;
                NaN, or -1 among integers, where missing.
            sample_weight: Weights, one a sample: samples of weight 0 are left out, all others
                count the same.

        Raises:
            ValueError: If the labels do not fit the head.
        """
        y = np.asarray(y) if isinstance(y, list | tuple) else y
        if self.standardization is not None:
            self.standardization.adapt(y, sample_weight, self.name, self.entries)

    def training_loss(self, loss: Any = None) -> keras.losses.Loss:
        return self.in_training_units(super().training_loss(loss))

    def in_training_units(self, loss: keras.losses.Loss) -> keras.losses.Loss:
        """The loss of standardised labels and outputs, where the head standardises."""
        if self.standardization is None:
            return loss
        return StandardizedLoss(loss, self.standardization.statistics)

    def standardized(self, values: Any) -> Any:
        """Values of shape `(batch, units)`, standardised if the head does so, within the graph."""
        if self.standardization is None:
            return values
        return StandardizedValues(self.standardization.statistics)(values)

    def given_predictions(self, predictions: Any) -> Any:
        """Returns values that the data hold, standardised if the head does so."""
        return self.standardized(predictions)


def make_standardization(units: int, standardize: bool) -> LabelStandardization | None:
    """The standardization of a head of values, if it is to have one."""
    if not isinstance(standardize, bool):
        raise ValueError(
            f"Expected standardize to be True or False. Received: standardize={standardize!r}"
        )
    return LabelStandardization(units, name="standardization") if standardize else None
