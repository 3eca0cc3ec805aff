"""From evidence to a verdict: a pure function that applies the table of rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mtlkit.diagnostics._open_questions import undecidable
from mtlkit.diagnostics._readings import (
    are_twins,
    is_behind,
    is_faint,
    is_found,
    is_open,
    is_unknown,
    most_errors,
)
from mtlkit.diagnostics.evidence import Evidence, plain
from mtlkit.diagnostics.rules import (
    LABELS,
    NO_SIGNAL,
    OF_OTHER_TASKS,
    RULES,
    SIGNAL_ELSEWHERE,
    TITLES,
    Rule,
)

#: What can limit a task.
LIMITS = ("data", "model", "mixed", "healthy", "undetermined")


@dataclass(frozen=True)
class Cause:
    """One cause of a task's trouble.

    Attributes:
        name: Its name, such as `"uniform_noise"`.
        effect: How large it is, in the unit of its evidence.
        interval: The confidence interval of the effect.
        details: What else is known of it, such as the pairs of classes.

    Example:
        ```python
        from mtlkit.diagnostics import Cause

        cause = Cause("uniform_noise", 0.2, (0.17, 0.23))
        assert cause.interval[0] < cause.effect
        ```
    """

    name: str
    effect: float | None = None
    interval: tuple[float, float] | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What limits a task.

    Attributes:
        limit: `"data"`, `"model"`, `"mixed"`, `"healthy"` or `"undetermined"`.
        causes: The causes, the largest first.
        sentence: The verdict in words.
        undetermined: Causes among which the data cannot decide.
        missing: What would decide among them.

    Example:
        ```python
        from mtlkit.diagnostics import Verdict

        verdict = Verdict("healthy", (), "Nothing was found that holds it back.")
        assert verdict.to_dict()["limit"] == "healthy"
        ```
    """

    limit: str
    causes: tuple[Cause, ...]
    sentence: str
    undetermined: tuple[str, ...] = ()
    missing: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain data."""
        return plain({**vars(self), "causes": [vars(one) for one in self.causes]})


#: What other tasks do explains a gap to the reference from this share of it on, unless nothing
#: else does. (The other probes of the model ask the same of themselves.)
_EXPLAINS = 0.5
#: The trainings that tell are shorter than the user's, and close less of the gap. Of a task with
#: such a small part of an equal share of the gradient, what they reach at all is the measure.
_HARDLY_ANY = 0.1
#: Beside exchanged labels, fewer than so many of theirs are not called wrong by chance.
_OF_EXCHANGED = 0.5
#: Behind a head that loses positions, standardised inputs must bring so much of what they reach,
#: and surely so much skill.
_OF_REACH, _SURELY = 0.1, 0.02


def decide(evidence: Mapping[str, Evidence], task: str = "the task") -> Verdict:
    """Turns evidence into a verdict.

    Args:
        evidence: What was measured, by name.
        task: Name of the task, for the sentence.

    Returns:
        The verdict: `RULES` applied in turn, then what the data cannot decide.

    Example:
        ```python
        from mtlkit.diagnostics import Evidence, decide

        noise = Evidence("uniform_noise", "found", "A fifth is wrong.", 0.2, (0.17, 0.23))
        verdict = decide({"uniform_noise": noise}, "orientation")
        assert verdict.limit == "data" and verdict.causes[0].name == "uniform_noise"
        ```
    """
    evidence = read_together(evidence)
    found = _found(evidence)
    undetermined, missing = undecidable(evidence, found)
    # It is certain that the inputs do not show the labels; only the reason may be open.
    found = [rule for rule in found if rule.cause not in set(undetermined) - {"no_signal"}]
    causes = tuple(_cause(rule, evidence) for rule in found)
    limits = {rule.limit for rule in found}
    if is_behind(evidence) and not {rule.cause for rule in found} & set(NO_SIGNAL):
        limits.add("model")
    if len(limits) == 2:
        limit = "mixed"
    elif limits:
        limit = limits.pop()
    else:
        # A label that may be given away holds no training back.
        doubts = set(undetermined) - {"label_leak"}
        limit = "undetermined" if doubts or is_unknown(evidence) else "healthy"
    sentence = _sentence(task, limit, found, evidence, undetermined, missing)
    return Verdict(limit, causes, sentence, undetermined, missing)


def read_together(evidence: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """Reads evidence that tells more beside another one; what tells nothing more stays as it is."""
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
    least = max(_SURELY, _OF_REACH * one["reach"])
    if one["interval"][0] <= _SURELY or one["effect"] < least:
        return evidence
    when = f"After {one['steps']} steps it" if "steps" in one else "At the end it"
    text = (
        f"{scale.text} {when} is {one['effect']:.3f} of skill ahead of the same start on the "
        f"inputs as they are, of {one['reach']:.3f}: much for a head that loses positions."
    )
    effect, interval = one["effect"], one["interval"]
    seen = replace(
        scale, status="found", text=text, effect=effect, interval=interval, threshold=least
    )
    return {**evidence, "input_scale": seen}


def _found(evidence: Mapping[str, Evidence]) -> list[Rule]:
    names = {name for name, one in evidence.items() if one.found and _is_seen(name, one, evidence)}
    if "signal" in evidence and evidence["signal"].status == "absent":
        names.add("no_signal")
    found = _ruled({name for name in names if _explains(name, evidence)})
    # What explains little of the gap is better than nothing.
    return found if any(rule.limit == "model" for rule in found) else _ruled(names)


def _ruled(names: set[str]) -> list[Rule]:
    """Applies the rules to what was seen."""
    found: list[Rule] = []
    for rule in RULES:
        if rule.cause in names and not {one.cause for one in found} & set(rule.unless):
            found.append(rule)
    if {one.cause for one in found} & set(SIGNAL_ELSEWHERE):
        found = [one for one in found if one.cause != "no_signal"]
    return found


def _explains(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether what other tasks do is enough of the gap to the reference, if one was measured."""
    if name not in OF_OTHER_TASKS or not is_behind(evidence):
        return True
    one, most = evidence[name], evidence["model_gap"].effect or 0.0
    if one.details.get("share_of_equal", 1.0) < _HARDLY_ANY:
        most = min(most, one.details["reach"])
    return (one.effect or 0.0) >= _EXPLAINS * most


def _is_seen(name: str, one: Evidence, evidence: Mapping[str, Evidence]) -> bool:
    """Whether it cannot be that the reference alone mixes classes up.

    That some images are shared must be seen in the images. Beside labels that are wrong by
    chance, a poor reference takes neighbours for each other even where it is clear; beside
    classes that are not told apart at all, it does so with other classes, too; and the exchanged
    label of a sample that it mistakes looks wrong by chance. And no more labels
    are wrong than the best network gets wrong. Where there is hardly a signal, or none was seen,
    nothing is known of the labels.
    """
    low = (one.interval or (0.0, 0.0))[0]
    if name in ("uniform_noise", "structured_noise") and low > most_errors(evidence):
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
    return (chance.effect or 0.0) < _OF_EXCHANGED * (exchanged.effect or 0.0)


def _cause(rule: Rule, evidence: Mapping[str, Evidence]) -> Cause:
    one = evidence["signal" if rule.cause == "no_signal" else rule.cause]
    return Cause(rule.cause, one.effect, one.interval, one.details)


def _sentence(
    task: str,
    limit: str,
    found: list[Rule],
    evidence: Mapping[str, Evidence],
    undetermined: tuple[str, ...],
    missing: str,
) -> str:
    named = "; ".join(rule.words for rule in found)
    if is_behind(evidence) and not any(rule.limit == "model" for rule in found):
        behind = "a reference network does better, and none of the tests tells why"
        named = f"{named}; {behind}" if named else behind
    said = {
        "data": f"The data limit {task}: {named}.",
        "model": f"The model limits {task}: {named}.",
        "mixed": f"Both the model and the data limit {task}: {named}.",
        "healthy": f"Nothing was found that holds {task} back.",
        "undetermined": f"What was measured does not tell what holds {task} back.",
    }[limit]
    if not undetermined:
        return f"{said} {missing[0].upper()}{missing[1:]} would tell." if missing else said
    titles = [TITLES[name] for name in undetermined]
    beside = limit == "healthy" or found
    if beside and not {rule.cause for rule in found} & set(undetermined):
        also = "Also possible" if found else "Possible"
        return f"{said} {also}: {_joined(titles, 'or')}; {missing} would tell."
    if len(undetermined) == 1:
        return f"{said} Possible: {titles[0]}; {missing} would tell."
    return f"{said} The data cannot decide between {_joined(titles, 'and')}; {missing} would."


def _joined(parts: list[str], word: str) -> str:
    """Parts of a sentence: "a", "a and b", "a, b and c"."""
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}" if len(parts) > 1 else parts[0]
