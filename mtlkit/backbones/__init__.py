"""Backbones: shared layers that expose named feature maps."""

from mtlkit.backbones.conv_backbone import ConvBackbone

__all__ = ["ConvBackbone"]
