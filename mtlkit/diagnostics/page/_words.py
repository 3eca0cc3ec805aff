"""What the causes and the evidence of a diagnosis are called on its page."""

from __future__ import annotations

from mtlkit.diagnostics.causes import TITLES

#: The causes that a diagnosis knows, and what else it leaves open.
CAUSES = TITLES
#: Evidence that describes, and is no cause.
DESCRIPTIONS = {
    "signal": "signal in the inputs",
    "skill": "skill above the baseline",
    "model_gap": "lead of a reference over the model",
    "uncertainty": "uncertainty of the predictions",
    "confusion": "confusion between classes",
    "gallery": "what the classes look like",
    "location": "where in the network the task can be read",
}
#: What is not there where a cause was looked for in part.
RULED_OUT = {
    "misaligned_labels": (
        "The labels have not slipped by up to five rows. Other mix-ups were not tested."
    )
}
#: What limits a task.
LIMITS = {
    "data": "limited by the data",
    "model": "limited by the model",
    "mixed": "limited by data and model",
    "healthy": "healthy",
    "undetermined": "undetermined",
}
#: Evidence that a cause rests on, where it has another name.
EVIDENCE = {"no_signal": "signal"}
#: What the arms of a probe are called.
ARMS = {
    "image": "image",
    "true": "image + true label",
    "predicted": "image + predicted label",
    "shuffled": "image + shuffled label",
    "alone": "true label only",
}


def title(name: str) -> str:
    """Returns what a cause or a piece of evidence is called; an unknown name as it is."""
    return CAUSES.get(name) or DESCRIPTIONS.get(name) or name.replace("_", " ")


def heading(name: str) -> str:
    """As `title`, with a capital."""
    text = title(name)
    return text[:1].upper() + text[1:]


def number(value: float | None) -> str:
    """Returns a number with three digits; nothing for `None`."""
    return "" if value is None else f"{value:.3g}"


def p_value(value: float | None) -> str:
    """Returns a p-value; what is below 0.001 is not told apart."""
    return "< 0.001" if value is not None and value < 1e-3 else number(value)


def interval(ends: tuple[float, float] | None) -> str:
    """Returns an interval in brackets; nothing for `None`."""
    return "" if ends is None else f"[{number(ends[0])}, {number(ends[1])}]"
