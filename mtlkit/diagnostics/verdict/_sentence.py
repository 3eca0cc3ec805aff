"""A verdict in words."""

from __future__ import annotations

from collections.abc import Mapping

from mtlkit.diagnostics.causes import LABELS, OF_MODELS, TITLES, Rule
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.verdict._readings import is_behind, may_be


def sentence_of(
    task: str,
    limit: str,
    found: list[Rule],
    evidence: Mapping[str, Evidence],
    undetermined: tuple[str, ...],
    missing: str,
) -> str:
    """The verdict in a sentence, with what is left open and what would decide it."""
    named = "; ".join(rule.words for rule in found)
    if is_behind(evidence) and not any(rule.limit == "model" for rule in found):
        behind = "a reference does better, and " + _why_unknown(evidence)
        named = f"{named}; {behind}" if named else behind
    said = {
        "data": f"The data hold {task} back: {named}.",
        "model": f"The model holds {task} back: {named}.",
        "mixed": f"Both the model and the data hold {task} back: {named}.",
        "healthy": f"Nothing was found that holds {task} back.",
        "undetermined": f"The measurements do not show what holds {task} back.",
    }[limit]
    blind = [
        TITLES[name]
        for name, one in evidence.items()
        if one.details.get("without_power") or (name in LABELS and may_be(name, evidence))
    ]
    if blind and limit == "healthy":
        said += f" The tests could not rule out {_joined(blind, 'or')}."
    decides = f"What would decide: {missing}."
    if not undetermined:
        return f"{said} {decides}" if missing else said
    titles = [TITLES[name] for name in undetermined]
    beside = limit == "healthy" or found
    if beside and not {rule.cause for rule in found} & set(undetermined):
        also = "Also possible" if found else "Possible"
        return f"{said} {also}: {_joined(titles, 'or')}. {decides}"
    if len(undetermined) == 1:
        return f"{said} Possible: {titles[0]}. {decides}"
    return f"{said} The evidence cannot decide between {_joined(titles, 'and')}. {decides}"


def _why_unknown(evidence: Mapping[str, Evidence]) -> str:
    """Whether the tests that there are show nothing, or were not all run."""
    model = [one for name, one in evidence.items() if name in OF_MODELS]
    left_out = [one for one in model if one.details.get("left_out")]
    if not left_out:
        return "none of the tests shows why"
    more = f"{len(left_out)} more cause{'s' * (len(left_out) > 1)}"
    return f"the tests that were run do not show why (a larger budget would look for {more})"


def _joined(parts: list[str], word: str) -> str:
    """Parts of a sentence: "a", "a and b", "a, b and c"."""
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}" if len(parts) > 1 else parts[0]
