"""From evidence to a verdict."""

from mtlkit.diagnostics.verdict._reinterpret import reinterpreted as reinterpreted
from mtlkit.diagnostics.verdict.verdict import LIMITS, Cause, Verdict, decide

__all__ = ["LIMITS", "Cause", "Verdict", "decide"]
