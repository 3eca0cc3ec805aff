"""Families of images: `family({split: samples}, rng, size) -> {split: Pictures}`."""

from mtlkit.datasets.planting.families.digits import digits
from mtlkit.datasets.planting.families.glyphs import glyphs

#: The families by name.
FAMILIES = {"glyphs": glyphs, "digits": digits}

__all__ = ["FAMILIES", "digits", "glyphs"]
