"""What was measured of interference, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtlkit.callbacks._interference import BACKBONE, FEATURES, LEAST_OVERLAP, Pair, Place

#: How many times an equal share a task must have, to be said to dominate; less is of no concern.
_DOMINANT = 1.2


def described(places: Sequence[Place], stopped: Sequence[str], samples: int) -> str:
    """The report: a paragraph for each map, and for the backbone, with its layers."""
    layers = [one for one in places if one.space != FEATURES and one.name != BACKBONE]
    main = [one for one in places if one not in layers]
    lines: list[str] = []
    for place in main:
        lines += [*_head(place, samples), *_dominance(place), *_pairs(place)]
        if place.space != FEATURES:
            lines += [*_directions(place), *_of_layers(layers)]
        lines.append("")
    if stopped:
        lines.append(f"No gradient reaches the backbone from {_listed(stopped)}.")
    return "\n".join(lines).rstrip()


def _head(place: Place, samples: int) -> list[str]:
    steps = [row.step for row in place.rows]
    where = f"feature map {place.name!r}" if place.space == FEATURES else "weights of the backbone"
    count = (
        f"{len(steps)} measurements, from step {steps[0]} to {steps[-1]}"
        if len(steps) > 1
        else f"1 measurement, at step {steps[0]}"
    )
    return [f"Gradients of {len(place.tasks)} tasks at the {where} ({count}; {samples} samples)."]


def _dominance(place: Place) -> list[str]:
    equal = 1 / max(len(place.tasks), 1)
    known = {task: one for task, one in place.shares.items() if np.isfinite(one.mean)}
    if not known:
        return ["  No gradient was measured."]
    above = {task: one for task, one in known.items() if one.interval[0] > _DOMINANT * equal}
    lines = []
    for task, one in sorted(above.items(), key=lambda item: -item[1].mean):
        low, high = one.interval
        more = 100 * (one.mean - equal)
        lines.append(
            f"  Dominant: {task!r} has {one.mean:.0%} of the summed gradient length "
            f"({low:.0%} to {min(high, 1.0):.0%}), {more:.0f} points above an equal share of "
            f"{equal:.0%}."
        )
    if not lines:
        shown = ", ".join(f"{task!r} {one.mean:.0%}" for task, one in known.items())
        lines.append(f"  No task clearly dominates: {shown}; an equal share is {equal:.0%}.")
    return lines


def _pairs(place: Place) -> list[str]:
    by_verdict: dict[str, list[Pair]] = {}
    for pair in place.pairs:
        by_verdict.setdefault(pair.verdict, []).append(pair)
    lines = []
    for pair in sorted(by_verdict.get("conflict", []), key=lambda one: one.cosine):
        lines.append(f"  Conflict beyond noise: {_pair(pair)}.")
    if not by_verdict.get("conflict"):
        lines.append("  No pair conflicts beyond noise.")
    for pair in sorted(by_verdict.get("agreement", []), key=lambda one: -one.cosine):
        lines.append(f"  Agreement beyond noise: {_pair(pair)}.")
    for pair in by_verdict.get("unclear", []):
        lines.append(f"  Not told from noise: {_pair(pair)}.")
    for pair in by_verdict.get("no claim", []):
        lines.append(
            f"  No claim: {pair.first!r} and {pair.second!r} share {pair.overlap:.0%} of their "
            f"labelled samples. Below {LEAST_OVERLAP:.0%} a cosine is not told from noise "
            "(arXiv:2604.07848: cosines between tasks that share less than 30 % of their labelled "
            "samples cannot be told from noise, above 40 % they can)."
        )
    return lines


def _pair(pair: Pair) -> str:
    of = "" if pair.space == FEATURES else "; between halves"
    text = (
        f"{pair.first!r} and {pair.second!r}, cosine {pair.cosine:+.2f}"
        f"{of} ({pair.low:+.2f} to {pair.high:+.2f})"
    )
    return text if np.isnan(pair.corrected) else f"{text}, without noise {pair.corrected:+.2f}"


def _directions(place: Place) -> list[str]:
    """How well the directions are measured."""
    shown = []
    for task in place.tasks:
        values = np.array([row.self_cosines[row.tasks.index(task)] for row in place.rows])
        values = values[np.isfinite(values)]
        if len(values):
            shown.append(f"{task!r} {values.mean():+.2f}")
    return [f"  Cosines between halves of the samples, of the same task: {', '.join(shown)}."]


def _of_layers(layers: Sequence[Place]) -> list[str]:
    """Where in the backbone pairs conflict."""
    found: dict[tuple[str, str], list[str]] = {}
    for layer in layers:
        for pair in layer.pairs:
            if pair.verdict == "conflict":
                found.setdefault((pair.first, pair.second), []).append(
                    f"{layer.name!r} ({pair.cosine:+.2f})"
                )
    return [
        f"  {first!r} and {second!r} conflict in the layers {', '.join(own)}."
        for (first, second), own in found.items()
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
