"""Designs: layers that turn a feature into the raw outputs of a head."""

from mtlkit.heads.designs.design import Design
from mtlkit.heads.designs.histogram import HistogramDesign
from mtlkit.heads.designs.orbit import OrbitDesign
from mtlkit.heads.designs.polar import PolarDesign
from mtlkit.heads.designs.pooled import PooledDesign

__all__ = ["Design", "HistogramDesign", "OrbitDesign", "PolarDesign", "PooledDesign"]
