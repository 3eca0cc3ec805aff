"""Evidence that means something else beside other evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.thresholds import OF_REACH, SURELY
from mtlkit.diagnostics.verdict._readings import is_found


def reinterpreted(evidence: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """Reads evidence that means more beside another one; all other evidence stays as it is."""
    return dict(_raw_behind_a_poor_head(_slow_is_short(evidence)))


def _slow_is_short(evidence: Mapping[str, Evidence]) -> Mapping[str, Evidence]:
    """A rate that is too low is training that is too short: more of either helps."""
    rate = evidence.get("optimizer")
    if rate is None or not rate.found or not rate.details.get("rate_too_low"):
        return evidence
    return {
        **evidence,
        "optimizer": replace(rate, status="described"),
        "under_trained": replace(rate, name="under_trained"),
    }


def _raw_behind_a_poor_head(evidence: Mapping[str, Evidence]) -> Mapping[str, Evidence]:
    """What a head without positions can reach at all is the measure of what raw inputs cost it.

    They cost it time above all: late in a training little may be left of it.
    """
    scale = evidence.get("input_scale")
    if scale is None or scale.found or not is_found("head_destroys_space", evidence):
        return evidence
    reach = scale.details.get("scores", {}).get("standardised inputs", 0.0)
    end = {"effect": scale.effect or 0.0, "interval": scale.interval or (0.0, 0.0), "reach": reach}
    looks = [end, *scale.details.get("early", ())]
    one = max(looks, key=lambda look: look["interval"][0])
    least = max(SURELY, OF_REACH * one["reach"])
    if one["interval"][0] <= SURELY or one["effect"] < least:
        return evidence
    when = f"After {one['steps']} steps it" if "steps" in one else "At the end it"
    text = (
        f"{scale.text} {when} is {one['effect']:.3f} of skill ahead of the same start on the "
        f"inputs as they are, of {one['reach']:.3f}: a lot for a head that throws positions away."
    )
    effect, interval = one["effect"], one["interval"]
    seen = replace(
        scale, status="found", text=text, effect=effect, interval=interval, threshold=least
    )
    return {**evidence, "input_scale": seen}
