"""References: what simple predictors make of a task, judged on samples that they left out."""

from mtlkit.references.held_out import HeldOut, predict_held_out
from mtlkit.references.panel import Panel
from mtlkit.references.reference import Reference

__all__ = ["HeldOut", "Panel", "Reference", "predict_held_out"]
