"""References: what simple predictors make of a task, judged on samples that they left out."""

from mtlkit.references.panel import Panel
from mtlkit.references.reference import Reference

__all__ = ["Panel", "Reference"]
