"""Losses, usable alone in plain Keras, that know missing labels."""

from mtlkit.losses import contrastive, hierarchical
from mtlkit.losses._partial_labels import fill_missing, labelled, masked_weight
from mtlkit.losses.circular import (
    CircularCrossEntropy,
    MultiBinLoss,
    PhaseLoss,
    circular_earth_movers_distance,
    soft_bin_labels,
)
from mtlkit.losses.masked import BatchLoss, FunctionLoss, MaskedLoss, unlabelled_loss
from mtlkit.losses.multi_label import MultiLabelCrossEntropy
from mtlkit.losses.ordinal import OrdinalCrossEntropy
from mtlkit.losses.standardized import StandardizedLoss

__all__ = [
    "BatchLoss",
    "CircularCrossEntropy",
    "FunctionLoss",
    "MaskedLoss",
    "MultiBinLoss",
    "MultiLabelCrossEntropy",
    "OrdinalCrossEntropy",
    "PhaseLoss",
    "StandardizedLoss",
    "circular_earth_movers_distance",
    "contrastive",
    "fill_missing",
    "hierarchical",
    "labelled",
    "masked_weight",
    "soft_bin_labels",
    "unlabelled_loss",
]
