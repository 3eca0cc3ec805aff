"""Families of images: `family({split: samples}, rng, size) -> {split: Pictures}`."""

from mtlkit.datasets.planting.families.digits import digits
from mtlkit.datasets.planting.families.fashion import fashion
from mtlkit.datasets.planting.families.glyphs import glyphs
from mtlkit.datasets.planting.families.textures import textures

#: The families by name.
FAMILIES = {"glyphs": glyphs, "textures": textures, "digits": digits, "fashion": fashion}

__all__ = ["FAMILIES", "digits", "fashion", "glyphs", "textures"]
