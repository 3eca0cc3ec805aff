"""What a reference says of the labels is asked of references of other kinds, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.thresholds import (
    AGREE,
    AGREE_SHARE,
    OTHERS_ASKED,
    SEVERAL_CLASSES,
    SKILLED_ENOUGH,
    STILL_LEARNS,
    SURE_NOISE,
)
from mtlkit.references.panel import Panel
from mtlkit.references.reference import Reference

#: Evidence that mistakes of a reference can bring about.
ASKED_TWICE = (
    *("uniform_noise", "structured_noise", "ambiguity", "class_overlap"),
    "too_little_data",
)


def with_second_opinion(
    found: Evidence, probe: Callable[[Reference], Evidence], panel: Panel, sure: bool = True
) -> Evidence:
    """Leaves an effect open unless it is the same for references that err in different ways.

    An effect of the data does not depend on the yardstick; mistakes of the yardstick do.

    Args:
        found: The evidence by the best reference.
        probe: Measures the same by another one.
        panel: The references.
        sure: Whether an effect that mistakes hardly bring about need not be confirmed.

    Returns:
        The evidence, with `details["second_opinions"]`, the effect by kind of reference.
    """
    if _is_robust(found.name, panel.best) and _is_too_wide(found):
        return _surer(found, probe, panel)
    if not found.found or found.name not in ASKED_TWICE:
        return found
    opinions: dict[str, Evidence] = {}
    confirmed = False
    for other in panel.independent[:OTHERS_ASKED]:
        opinions[other.kind.name] = seen = probe(other)
        confirmed = _agree(found, seen)
        if confirmed:
            break
    contradicted = all(_contradicts(found, seen) for seen in opinions.values())
    details = {
        **found.details,
        "second_opinions": {name: _said(seen) for name, seen in opinions.items()},
    }
    robust = sure and _is_robust(found.name, panel.best) and not contradicted and _is_large(found)
    if confirmed or robust or _is_good(panel.best):
        return replace(found, details=details)
    said = "; ".join(
        f"{panel.references[name].kind.says} says {one.effect or 0:.2f}"
        for name, one in opinions.items()
    )
    text = (
        f"By {panel.best.kind.says} the effect is {found.effect:.2f}, but others do not confirm it "
        f"({said}): it may be the mistakes of a weak reference."
    )
    return replace(found, status="unclear", text=text, details={**details, "weak_reference": True})


def _is_too_wide(found: Evidence) -> bool:
    """Whether only the width of its interval leaves an effect open."""
    low = found.interval[0] if found.interval else 0.0
    return found.status == "unclear" and low <= (found.threshold or 0.0)


def _surer(found: Evidence, probe: Callable[[Reference], Evidence], panel: Panel) -> Evidence:
    """Another reference's evidence, if it is surer and says the same as the best one's estimate."""
    for other in panel.independent[:OTHERS_ASKED]:
        seen = probe(other)
        if _agree(found, seen) and found.interval and seen.effect is not None:
            low, high = found.interval
            if low <= seen.effect <= high:
                opinions = {panel.best.kind.name: _said(found)}
                details = {**seen.details, "second_opinions": opinions}
                return replace(seen, details=details)
    return found


def _agree(found: Evidence, other: Evidence) -> bool:
    """Whether another reference finds the same effect, about as large."""
    if not other.found or other.effect is None or found.effect is None:
        return False
    return abs(other.effect - found.effect) <= max(AGREE, AGREE_SHARE * found.effect)


def _contradicts(found: Evidence, other: Evidence) -> bool:
    """Whether another reference sees clearly less of an effect."""
    high = other.interval[1] if other.interval else 0.0
    return not other.found and high < (1 - AGREE_SHARE) * (found.effect or 0.0)


def _is_robust(name: str, reference: Reference) -> bool:
    """Whether mistakes of a reference hardly bring an effect about: it need not be confirmed.

    Among several classes a mistaken image has a low rank of its label, a wrong label any rank; and
    where images are clear, mistakes do not fall on one partner alone.
    """
    several = reference.num_classes >= SEVERAL_CLASSES
    return name == "structured_noise" or (name == "uniform_noise" and several)


def _is_large(found: Evidence) -> bool:
    """Whether a rate of wrong labels is more than mistakes near the borders of classes make."""
    if found.name != "uniform_noise" or found.interval is None:
        return True
    return found.interval[0] > SURE_NOISE * (found.threshold or 0.0)


def _is_good(reference: Reference) -> bool:
    """Whether a reference makes few mistakes of its own, and the last doubling changed little."""
    gained = reference.accuracy - reference.smaller.accuracy
    return reference.skill >= SKILLED_ENOUGH and gained < STILL_LEARNS


def _said(evidence: Evidence) -> dict[str, Any]:
    """What is kept of an opinion."""
    return {name: getattr(evidence, name) for name in ("status", "effect", "interval")}
