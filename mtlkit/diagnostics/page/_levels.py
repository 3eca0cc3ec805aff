"""How a task gets from chance to what can be reached, read from the evidence of a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mtlkit.reports.diagnosis_plots import Level

if TYPE_CHECKING:
    from mtlkit.diagnostics.diagnosis import Diagnosis


def levels(diagnosis: Diagnosis) -> tuple[str, list[Level]]:
    """Returns the metric, and the levels of the task that are known, all in that metric."""
    gap = _details(diagnosis, "model_gap")
    own = (_details(diagnosis, "skill").get("tasks") or {}).get(diagnosis.task) or {}
    metric = gap.get("metric") or own.get("metric")
    if metric is None:
        return _of_signal(diagnosis)
    same = own.get("metric") == metric
    by_model = same and own.get("by", "the model") == "the model"
    found = [
        _level("chance", gap.get("baseline", own.get("baseline"))),
        _model(gap, own if by_model else {}),
        _reference(diagnosis, gap, own if same and not by_model else {}),
        *_ceiling(diagnosis, str(metric)),
    ]
    return str(metric), [level for level in found if level is not None]


def _of_signal(diagnosis: Diagnosis) -> tuple[str, list[Level]]:
    signal, evidence = _details(diagnosis, "signal"), diagnosis.evidence.get("signal")
    unit = evidence.unit if evidence is not None and evidence.unit else "score"
    found = [_level("chance", signal.get("chance")), _level("reference", signal.get("score"))]
    known = [level for level in found if level is not None]
    return unit, known + (_ceiling(diagnosis, unit) if known and unit == "accuracy" else [])


def _model(gap: Mapping[str, Any], own: Mapping[str, Any]) -> Level | None:
    return _level("your model", gap.get("user_score", own.get("score")), own.get("interval"))


def _reference(
    diagnosis: Diagnosis, gap: Mapping[str, Any], own: Mapping[str, Any]
) -> Level | None:
    """The reference, with the interval of its lead over the model."""
    if "reference_score" not in gap:
        return _level("reference", own.get("score"), own.get("interval"))
    evidence = diagnosis.evidence["model_gap"]
    score, user = gap["reference_score"], gap.get("user_score")
    if not evidence.effect or evidence.interval is None or user is None:
        return _level("reference", score)
    scale = (score - user) / evidence.effect
    low, high = sorted(user + scale * end for end in evidence.interval)
    return _level("reference", score, (low, high))


def _ceiling(diagnosis: Diagnosis, metric: str) -> list[Level]:
    """What the labels allow, where they are known to be noisy, and perfection."""
    if metric != "accuracy":
        return [Level("perfect", 0.0)]
    noise = diagnosis.evidence.get("uniform_noise")
    if noise is None or not noise.found or noise.effect is None:
        return [Level("perfect", 1.0)]
    low, high = noise.interval or (None, None)
    if low is None or high is None:
        return [Level("labels allow", 1 - noise.effect)]
    return [Level("labels allow", 1 - noise.effect, 1 - high, 1 - low)]


def _details(diagnosis: Diagnosis, name: str) -> Mapping[str, Any]:
    return diagnosis.evidence[name].details if name in diagnosis.evidence else {}


def _level(name: str, value: Any, interval: Any = None) -> Level | None:
    if value is None:
        return None
    low, high = interval or (None, None)
    return Level(name, float(value), low, high)
