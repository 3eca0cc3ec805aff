"""What a verdict asks of the evidence."""

from __future__ import annotations

from collections.abc import Mapping

from mtlkit.diagnostics._effects import way_of
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.thresholds import FAINT, HALF_OF_THE_WAY, MARGIN


def is_found(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether an effect was measured, and is there."""
    return name in evidence and evidence[name].found


def is_unclear(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether an effect was measured, which could not tell."""
    return name in evidence and evidence[name].status == "unclear"


def is_open(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether a probe was to be run, but could not tell."""
    return name in evidence and evidence[name].status in ("unclear", "not_tested")


def may_be(name: str, evidence: Mapping[str, Evidence], end: int = 1) -> bool:
    """Whether an effect may be there, though it was not found.

    That is so if its interval reaches beyond the threshold; if all of it lies there (`end=0`),
    the effect is evident, but not what it comes from.
    """
    one = evidence.get(name)
    return one is not None and _is_unclear_beyond(one, one.interval and one.interval[end])


def is_likely(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether the best estimate of an effect lies beyond the threshold, but is not sure."""
    one = evidence.get(name)
    return one is not None and _is_unclear_beyond(one, one.effect)


def _is_unclear_beyond(one: Evidence, value: float | None) -> bool:
    """Whether evidence is unclear, and a value of it lies beyond its threshold."""
    if one.status != "unclear" or value is None or one.threshold is None:
        return False
    return value > one.threshold


def is_of_weak_reference(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether one reference saw an effect that others do not confirm."""
    return name in evidence and bool(evidence[name].details.get("weak_reference"))


def higher_was_seen(evidence: Mapping[str, Evidence]) -> bool:
    """Whether images of a higher resolution were looked at."""
    return "resolution" in evidence and bool(evidence["resolution"].details.get("higher_given"))


def are_twins(evidence: Mapping[str, Evidence]) -> bool:
    """Whether classes are not told apart at all."""
    found = is_found("ambiguity", evidence)
    return found and bool(evidence["ambiguity"].details.get("or_flipped"))


def are_mixed_alike(evidence: Mapping[str, Evidence]) -> bool:
    """Whether labels of both neighbours are mixed, by flips or because classes overlap."""
    found = is_unclear("class_overlap", evidence)
    return found and bool(evidence["class_overlap"].details.get("or_flipped"))


def is_related(evidence: Mapping[str, Evidence]) -> bool:
    """Whether another task's label tells something about this one."""
    found = is_unclear("label_leak", evidence)
    return found and "bits" in evidence["label_leak"].details  # not of marks


def most_errors(evidence: Mapping[str, Evidence]) -> float:
    """The share of training labels that the best reference gets wrong, with a margin.

    It is asked of a part of the training samples that was held out: validation samples may have
    better labels.
    """
    details = evidence["model_gap"].details if "model_gap" in evidence else {}
    if details.get("metric") != "accuracy" or "inner_score" not in details:
        return 1.0
    return 1 - details["inner_score"] + MARGIN


def is_contradicted(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether more labels would be wrong than the best reference gets wrong."""
    one = evidence.get(name)
    if one is None or not one.found or name not in ("uniform_noise", "structured_noise"):
        return False
    return (one.interval or (0.0, 0.0))[0] > most_errors(evidence)


def best_skill(evidence: Mapping[str, Evidence]) -> float:
    """How far anyone comes from the best guess to perfection, if that was measured."""
    amount, gap, signal = (evidence.get(k) for k in ("too_little_data", "model_gap", "signal"))
    skills = [] if amount is None else [amount.details.get("way_from_constant")]
    if signal is not None and signal.unit == "share of the variance":
        skills.append(signal.details.get("score"))
    if gap is not None:
        of_networks = [gap.details.get("reference_skill"), gap.details.get("user_skill")]
        known = [skill for skill in of_networks if skill is not None]
        skills += [way_of(skill, gap.details.get("metric", "")) for skill in known]
    return max((skill for skill in skills if skill is not None), default=1.0)


def others_are_read(evidence: Mapping[str, Evidence]) -> bool:
    """Whether another task of the same samples is learned half of the way or more."""
    skill = evidence.get("skill")
    if skill is None:
        return False
    own, tasks = skill.details.get("task"), skill.details.get("tasks", {})
    return any(
        (row.get("skill") or 0.0) >= HALF_OF_THE_WAY for name, row in tasks.items() if name != own
    )


def is_unknown(evidence: Mapping[str, Evidence]) -> bool:
    """Whether too little is known to call a task healthy."""
    signal, gap = evidence.get("signal"), evidence.get("model_gap")
    if signal is None or not signal.found or best_skill(evidence) < HALF_OF_THE_WAY:
        return True
    return was_interrupted(evidence) or (
        gap is not None and gap.status in ("not_tested", "unclear")
    )


def was_interrupted(evidence: Mapping[str, Evidence]) -> bool:
    """Whether the user ended the diagnosis before all was looked at."""
    return any(one.details.get("interrupted") for one in evidence.values())


def is_faint(evidence: Mapping[str, Evidence]) -> bool:
    """Whether there is hardly more of a signal than chance may bring about."""
    return is_found("signal", evidence) and best_skill(evidence) < FAINT


def is_behind(evidence: Mapping[str, Evidence]) -> bool:
    """Whether a reference network does better than the model, for whatever reason."""
    return "model_gap" in evidence and evidence["model_gap"].found
