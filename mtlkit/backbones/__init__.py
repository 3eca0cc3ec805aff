"""Backbones: shared layers that expose named feature maps."""

from mtlkit.backbones.cgc import CGC
from mtlkit.backbones.conv_backbone import ConvBackbone
from mtlkit.backbones.cross_stitch import CrossStitch
from mtlkit.backbones.dense_backbone import DenseBackbone
from mtlkit.backbones.keras_backbone import KerasBackbone
from mtlkit.backbones.mmoe import MMoE
from mtlkit.backbones.mtan import MTAN

__all__ = ["CGC", "MTAN", "ConvBackbone", "CrossStitch", "DenseBackbone", "KerasBackbone", "MMoE"]
