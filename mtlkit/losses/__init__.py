"""Losses, usable alone in plain Keras, that know missing labels."""

from mtlkit.losses.masked import (
    BatchLoss,
    FunctionLoss,
    MaskedLoss,
    fill_missing,
    labelled,
    masked_weight,
    unlabelled_loss,
)

__all__ = [
    "BatchLoss",
    "FunctionLoss",
    "MaskedLoss",
    "fill_missing",
    "labelled",
    "masked_weight",
    "unlabelled_loss",
]
