"""Layers by which a task sees what another task predicts.

They are called on `[features, condition]` and stop no gradient: give them a condition
behind a `mtlkit.layers.GradientStop` where the other task shall not learn from this one.
"""

import keras

from mtlkit.layers.conditioning.bilinear import BilinearConditioning
from mtlkit.layers.conditioning.concat import ConcatConditioning
from mtlkit.layers.conditioning.experts import ExpertMixtureConditioning
from mtlkit.layers.conditioning.film import FiLM
from mtlkit.layers.conditioning.gate import GatedConditioning
from mtlkit.layers.conditioning.spatial_distillation import SpatialDistillation

#: The layers called on `[features, condition]`, by the name of the conditioning.
CONDITIONINGS: dict[str, type[keras.layers.Layer]] = {
    "film": FiLM,
    "concat": ConcatConditioning,
    "gate": GatedConditioning,
    "experts": ExpertMixtureConditioning,
    "bilinear": BilinearConditioning,
}

__all__ = [
    "CONDITIONINGS",
    "BilinearConditioning",
    "ConcatConditioning",
    "ExpertMixtureConditioning",
    "FiLM",
    "GatedConditioning",
    "SpatialDistillation",
]
