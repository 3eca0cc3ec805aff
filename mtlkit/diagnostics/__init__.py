"""Diagnosis: why a task does not learn, with evidence."""

from mtlkit.diagnostics._preflight._problem import Problem
from mtlkit.diagnostics.audit import audit
from mtlkit.diagnostics.diagnose import diagnose
from mtlkit.diagnostics.diagnosis import Diagnosis, Recommendation
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.preflight import Preflight, preflight
from mtlkit.diagnostics.triage import Triage, TriageRow, triage
from mtlkit.diagnostics.verdict import Cause, Verdict, decide
from mtlkit.references.reference import Reference

__all__ = [
    "Cause",
    "Diagnosis",
    "Evidence",
    "Preflight",
    "Problem",
    "Recommendation",
    "Reference",
    "Triage",
    "TriageRow",
    "Verdict",
    "audit",
    "decide",
    "diagnose",
    "preflight",
    "triage",
]
