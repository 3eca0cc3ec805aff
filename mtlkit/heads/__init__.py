"""Heads: layers that know their loss, metrics, decoding, label checks and search space."""

from mtlkit.heads.adopted import AdoptedHead
from mtlkit.heads.classification import ClassificationHead
from mtlkit.heads.contrastive import ContrastiveHead
from mtlkit.heads.dense import DenseHead
from mtlkit.heads.head import Head
from mtlkit.heads.hierarchical import HierarchicalHead
from mtlkit.heads.multi_label import MultiLabelHead
from mtlkit.heads.ordinal import OrdinalHead
from mtlkit.heads.orientation import OrientationHead
from mtlkit.heads.regression import RegressionHead

__all__ = [
    "AdoptedHead",
    "ClassificationHead",
    "ContrastiveHead",
    "DenseHead",
    "Head",
    "HierarchicalHead",
    "MultiLabelHead",
    "OrdinalHead",
    "OrientationHead",
    "RegressionHead",
]
