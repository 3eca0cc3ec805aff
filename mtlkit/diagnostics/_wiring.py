"""What `preflight` found, as evidence, once it is known that the task falls short."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mtlkit.diagnostics._preflight._problem import Problem
from mtlkit.diagnostics.details import WiringDetails
from mtlkit.diagnostics.evidence import Evidence, Status

#: The problems that are causes.
CAUSES = ("label_scale", "stale_batch_norm")


def of_problems(
    problems: Iterable[Problem], evidence: Mapping[str, Evidence]
) -> dict[str, Evidence]:
    """Evidence of the problems that may hold a task back: found, where the model is behind.

    Their gain is not measured: `code` mends them, and a new training would show it.
    """
    gap = evidence.get("model_gap")
    status: Status = "found" if gap is not None and gap.found else "described"
    found = {}
    for problem in problems:
        if problem.name in CAUSES and problem.name not in found:
            details = WiringDetails(code=problem.code, task=problem.task, layer=problem.layer)
            found[problem.name] = Evidence(
                problem.name, status, problem.text, problem.value, details=details
            )
    return found
