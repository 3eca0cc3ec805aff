"""Designs: layers that turn a feature into the raw outputs of a head."""

from mtlkit.heads.designs.polar import PolarDesign
from mtlkit.heads.designs.pooled import PooledDesign

__all__ = ["PolarDesign", "PooledDesign"]
