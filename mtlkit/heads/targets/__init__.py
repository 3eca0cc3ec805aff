"""Targets: what the outputs of an orientation head mean, and how they are learnt."""

from mtlkit.heads.targets.bins import BinsTarget
from mtlkit.heads.targets.multibin import MultiBinTarget
from mtlkit.heads.targets.phases import PhasesTarget
from mtlkit.heads.targets.target import Target
from mtlkit.heads.targets.thresholds import ThresholdsTarget

__all__ = ["BinsTarget", "MultiBinTarget", "PhasesTarget", "Target", "ThresholdsTarget"]
