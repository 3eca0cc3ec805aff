"""Diagnosis: why a task does not learn, with evidence."""

from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.reference import Reference

__all__ = ["Evidence", "Reference"]
