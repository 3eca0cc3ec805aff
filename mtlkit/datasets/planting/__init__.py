"""Data sets with a known cause of trouble, for a diagnosis to find."""

from mtlkit.datasets.planting.build import planted, planted_conditions
from mtlkit.datasets.planting.families import FAMILIES
from mtlkit.datasets.planting.planted_data import PlantedData
from mtlkit.datasets.planting.recipe import Recipe
from mtlkit.datasets.planting.truth import Truth

#: The names of the conditions.
PLANTED_CONDITIONS = planted_conditions()

__all__ = [
    "FAMILIES",
    "PLANTED_CONDITIONS",
    "PlantedData",
    "Recipe",
    "Truth",
    "planted",
    "planted_conditions",
]
