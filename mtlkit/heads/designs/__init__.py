"""Designs: layers that turn a feature into the raw outputs of a head."""

from mtlkit.heads.designs.design import Design
from mtlkit.heads.designs.embedding import EmbeddingDesign
from mtlkit.heads.designs.frame import FrameDesign
from mtlkit.heads.designs.histogram import HistogramDesign
from mtlkit.heads.designs.orbit import OrbitDesign
from mtlkit.heads.designs.polar import PolarDesign
from mtlkit.heads.designs.polar_and_flatten import PolarAndFlattenDesign
from mtlkit.heads.designs.pooled import PooledDesign
from mtlkit.heads.designs.pyramid import PyramidDesign
from mtlkit.heads.designs.tree import CoarseToFineDesign

__all__ = [
    "CoarseToFineDesign",
    "Design",
    "EmbeddingDesign",
    "FrameDesign",
    "HistogramDesign",
    "OrbitDesign",
    "PolarAndFlattenDesign",
    "PolarDesign",
    "PooledDesign",
    "PyramidDesign",
]
