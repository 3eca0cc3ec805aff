"""What to do about each cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlkit.diagnostics.causes import BY_CAUSE, MERGE, MERGE_NEIGHBOURS, WITH_HEAD
from mtlkit.diagnostics.diagnosis import Recommendation
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.verdict import Verdict


@dataclass(frozen=True)
class Remedy:
    """What helps against a cause, and the code that does it, with places for names."""

    text: str
    code: str = ""


#: The turns after which objects may look the same, and their degrees.
_PERIODS = {"rot180": 180, "rot90": 90}

#: What a model of tasks has, and a Keras model has not.
_OF_TASKS = ("model.with_head", "model.task_weights", "model.unfreeze_backbone")
#: What helps where labels are bins of a circle. (After a flip, bins are no circle any more.)
_ON_CIRCLE = {
    "symmetry": Remedy(
        "Set the period of the head to the turn after which objects look the same.",
        'model = model.with_head("{task}", mtl.heads.OrientationHead({bins}, period={period}))\n'
        "# with labels modulo {bins}",
    ),
    "class_overlap": Remedy(
        "Use fewer, wider bins, or spread each label over its neighbours.",
        'model = model.with_head("{task}", mtl.heads.OrientationHead({classes}, target="smooth"))',
    ),
}
#: What helps where it is not known whether they are.
_EITHER = {
    "symmetry": Remedy(
        "Merge the classes that the images do not tell apart. If they are bins of a circle, set "
        "the period of the head to the turn after which objects look the same instead.",
        f"{MERGE}"
        "# bins of a circle: head = mtl.heads.OrientationHead({bins}, period={period})\n"
        f"{WITH_HEAD}",
    ),
    "class_overlap": Remedy(
        "Merge neighbouring classes in pairs: their images overlap. If they are bins of a circle, "
        "spread each label over its neighbours instead.",
        f"{MERGE_NEIGHBOURS}"
        "# bins of a circle, labels as they were: "
        'head = mtl.heads.OrientationHead({classes}, target="smooth")\n'
        f"{WITH_HEAD}",
    ),
}


def recommend(
    task: str,
    verdict: Verdict,
    evidence: Mapping[str, Evidence],
    *,
    circular: bool | None = None,
    adopted: bool = False,
) -> tuple[Recommendation, ...]:
    """Says what to do about the causes of a verdict, the largest measured gain first.

    Args:
        task: Name of the task.
        verdict: The verdict.
        evidence: The evidence, by name.
        circular: Whether classes are bins of a circle; `None`: not known.
        adopted: Whether the user's model is a Keras model, which has no tasks to change.
    """
    found = []
    for cause in verdict.causes:
        if _is_of_symmetry(cause.name, verdict, evidence):
            continue
        details = _details(cause.name, evidence)
        remedy = _remedy(cause.name, details, circular)
        code = _filled(details.get("code") or remedy.code, cause.name, task, evidence)
        if adopted and any(name in code for name in _OF_TASKS):
            code = f"model = mtl.MultiTaskModel.from_keras(model)\n{code}"
        found.append(
            Recommendation(
                cause.name, remedy.text, code, details.get("gain"), details.get("gain_interval")
            )
        )
    return tuple(sorted(found, key=lambda one: -(one.gain or 0.0)))


def _details(name: str, evidence: Mapping[str, Evidence]) -> Mapping[str, Any]:
    return evidence[name].details if name in evidence else {}


def _remedy(cause: str, details: Mapping[str, Any], circular: bool | None) -> Remedy:
    """The remedy for labels of this kind."""
    no_turn = cause == "symmetry" and details.get("transform") not in _PERIODS
    if circular is False or no_turn or cause not in _ON_CIRCLE:
        return Remedy(BY_CAUSE[cause].remedy, BY_CAUSE[cause].code)
    return (_ON_CIRCLE if circular else _EITHER)[cause]


def _is_of_symmetry(cause: str, verdict: Verdict, evidence: Mapping[str, Evidence]) -> bool:
    """Whether the classes that share images are the twins of a symmetry, which has a remedy."""
    if cause != "ambiguity" or "symmetry" not in {one.name for one in verdict.causes}:
        return False
    groups = _details("symmetry", evidence).get("groups")
    pairs = _details("ambiguity", evidence).get("pairs")
    if groups is None or not pairs:
        return True
    return bool(np.mean([groups[int(a)] == groups[int(b)] for a, b, _ in pairs]) > 0.5)


def _filled(code: str, cause: str, task: str, evidence: Mapping[str, Evidence]) -> str:
    """Code with names and numbers in their places."""
    details = _details(cause, evidence)
    classes = len(_details("confusion", evidence).get("matrix", ())) or 32
    period = _PERIODS.get(details.get("transform", ""), 360)
    places = {
        "cause": cause,
        "task": task,
        "other": details.get("task", "other"),
        "classes": classes,
        "half": max(2, -(-classes // 2)),
        "bins": max(2, classes * period // 360),
        "period": period,
    }
    for place, value in places.items():
        code = code.replace(f"{{{place}}}", str(value))
    return code
