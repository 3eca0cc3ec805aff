"""Backbones: shared layers that expose named feature maps."""

from mtlkit.backbones.cgc import CGC
from mtlkit.backbones.conv_backbone import ConvBackbone
from mtlkit.backbones.cross_stitch import CrossStitch
from mtlkit.backbones.mmoe import MMoE
from mtlkit.backbones.mtan import MTAN

__all__ = ["CGC", "MTAN", "ConvBackbone", "CrossStitch", "MMoE"]
