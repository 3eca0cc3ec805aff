"""Which causes evidence makes: what is admitted, and what another cause explains."""

from __future__ import annotations

from collections.abc import Mapping

from mtlkit.diagnostics.causes import LABELS, OF_OTHER_TASKS, RULES, SIGNAL_ELSEWHERE, Rule
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.thresholds import EXPLAINS, HARDLY_ANY_SHARE, OF_EXCHANGED
from mtlkit.diagnostics.verdict._readings import (
    are_twins,
    is_behind,
    is_contradicted,
    is_faint,
    is_found,
    is_open,
)


def causes_of(evidence: Mapping[str, Evidence]) -> list[Rule]:
    names = {
        name for name, one in evidence.items() if one.found and _is_admitted(name, one, evidence)
    }
    if "signal" in evidence and evidence["signal"].status == "absent":
        names.add("no_signal")
    found = _not_explained({name for name in names if _explains(name, evidence)})
    # What explains little of the gap is better than nothing.
    return found if any(rule.limit == "model" for rule in found) else _not_explained(names)


def _explains(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether what other tasks do is enough of the gap to the reference, if one was measured."""
    if name not in OF_OTHER_TASKS or not is_behind(evidence):
        return True
    one, most = evidence[name], evidence["model_gap"].effect or 0.0
    if one.details.get("share_of_equal", 1.0) < HARDLY_ANY_SHARE:
        most = min(most, one.details["reach"])
    return (one.effect or 0.0) >= EXPLAINS * most


def _is_admitted(name: str, one: Evidence, evidence: Mapping[str, Evidence]) -> bool:
    """Whether it cannot be that the reference alone mixes classes up.

    That some images are shared must be seen in the images. Beside labels that are wrong by
    chance, a poor reference takes neighbours for each other even where it is clear; beside
    classes that are not told apart at all, it does so with other classes, too; and the exchanged
    label of a sample that it mistakes looks wrong by chance. And no more labels
    are wrong than the best reference gets wrong. Where there is hardly a signal, or none was seen,
    nothing is known of the labels.
    """
    if is_contradicted(name, evidence):
        return False
    if name in LABELS and (is_faint(evidence) or is_open("signal", evidence)):
        return False
    if name == "ambiguity":
        return one.details.get("or_flipped", True) or is_found("symmetry", evidence)
    if name == "uniform_noise":
        return not _comes_of_exchanged(evidence)
    if name == "structured_noise":
        near = one.details.get("neighbours") and is_found("uniform_noise", evidence)
        beside = near and not _comes_of_exchanged(evidence)
        return not beside and not are_twins(evidence)
    return True


def _comes_of_exchanged(evidence: Mapping[str, Evidence]) -> bool:
    """Whether what looks wrong by chance is the exchanged label of what the reference mistakes."""
    chance, exchanged = evidence["uniform_noise"], evidence.get("structured_noise")
    if exchanged is None or not exchanged.found:
        return False
    return (chance.effect or 0.0) < OF_EXCHANGED * (exchanged.effect or 0.0)


def _not_explained(names: set[str]) -> list[Rule]:
    """Applies the table to what was seen: a cause that another one explains is none."""
    found: list[Rule] = []
    for rule in RULES:
        if rule.cause in names and not {one.cause for one in found} & set(rule.unless):
            found.append(rule)
    if {one.cause for one in found} & set(SIGNAL_ELSEWHERE):
        found = [one for one in found if one.cause != "no_signal"]
    return found
