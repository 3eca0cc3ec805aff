"""From evidence to a verdict: a pure function, readable as a table of rules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mtlkit.diagnostics.evidence import Evidence, plain

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


@dataclass(frozen=True)
class Rule:
    """When evidence makes a cause.

    Attributes:
        cause: The cause, and the name of its evidence.
        limit: What it limits, `"data"` or `"model"`.
        words: The cause in words.
        unless: Causes that explain the evidence better, if they are there.
    """

    cause: str
    limit: str
    words: str
    unless: tuple[str, ...] = ()


#: After these, nothing else can be believed.
_INVALID = ("invalid_split", "misaligned_labels")
#: Wrong or shared labels, which make errors of any other kind.
_LABELS = ("uniform_noise", "structured_noise", "ambiguity", "class_overlap")
_NO_SIGNAL = (*_INVALID, "no_signal")
_NO_SIGNAL_OR_CONTEXT = (*_NO_SIGNAL, "needs_context")

#: Where the signal is, if not in the images alone.
_SIGNAL_ELSEWHERE = ("resolution", "needs_context")

#: What other tasks do explains a gap to the reference from this share of it on, unless nothing
#: else does. (The other probes of the model ask the same of themselves.)
_EXPLAINS = 0.5
#: A task that nobody comes half of the way with is not called healthy.
_HALF_OF_THE_WAY = 0.5
#: Of a task that nobody comes so far with, labels tell nothing: they may be wrong by chance, or
#: the images may not show them, and one test in a hundred sees a signal where there is none.
_FAINT = 0.05
#: So few samples of a class are few for any task that is not learned from them.
_FEW = 20
#: Behind a head that loses positions, standardised inputs must bring so much of what they reach,
#: and surely so much skill.
_OF_REACH, _SURELY = 0.1, 0.02
#: A margin for the score of a network on some hundred samples.
_MARGIN = 0.03
_OF_OTHER_TASKS = ("interference", "loss_starvation")
#: What may hide behind a poor score of all that were tried, and what would tell.
_MAY_HIDE = ("too_little_data", "uniform_noise", "structured_noise", "ambiguity", "imbalance")
_MORE = "more samples, or second labels for some"
_LONGER = "more and longer trainings (a larger `budget`)"
_OF_RARE = "more held-out samples of the rare classes"
_OF_A_MODEL = "what a trained model predicts for held-out samples (as `diagnose` looks at)"
_FLIPPED_OR_TWINS = (
    ("structured_noise", "ambiguity"),
    "a second label for some hundred images, given without knowing the first",
)

#: The rules: a cause is there if its evidence was found, unless another one explains it.
RULES = (
    Rule("invalid_split", "data", "validation images are copies of training images"),
    Rule("misaligned_labels", "data", "labels belong to other images", ("invalid_split",)),
    Rule("no_signal", "data", "the images do not tell the labels", _INVALID),
    Rule("label_leak", "data", "what will not be there in use tells the labels", _NO_SIGNAL),
    Rule("needs_context", "data", "labels depend on what another task knows", _INVALID),
    # What comes of a context that the images do not show looks like any kind of wrong labels.
    Rule("uniform_noise", "data", "labels are wrong by chance", _NO_SIGNAL_OR_CONTEXT),
    Rule("symmetry", "data", "objects look the same after a turn", _NO_SIGNAL),
    # Where images do not tell a turn, the reference mixes up more than the turned classes.
    Rule(
        "class_overlap",
        "data",
        "neighbouring classes overlap",
        (*_NO_SIGNAL_OR_CONTEXT, "symmetry"),
    ),
    Rule(
        "structured_noise",
        "data",
        "labels are exchanged for certain others",
        (*_NO_SIGNAL_OR_CONTEXT, "symmetry", "class_overlap"),
    ),
    Rule(
        "ambiguity",
        "data",
        "classes share their images",
        (*_NO_SIGNAL_OR_CONTEXT, "structured_noise", "class_overlap"),
    ),
    Rule("imbalance", "data", "rare classes are too rare", _NO_SIGNAL),
    Rule("resolution", "data", "the images are too coarse", _INVALID),
    Rule(
        "too_little_data",
        "data",
        "there are too few samples",
        (*_NO_SIGNAL, *_LABELS, "needs_context"),
    ),
    Rule("loss_mismatch", "model", "the loss does not let it learn", _NO_SIGNAL),
    Rule("head_destroys_space", "model", "the head throws positions away", _NO_SIGNAL),
    # What positions would tell at once takes a head without them long, and other rates, and
    # meanwhile other tasks have the trunk.
    Rule(
        "optimizer",
        "model",
        "the optimizer's rate does not fit",
        (*_NO_SIGNAL, "loss_mismatch", "head_destroys_space"),
    ),
    # Steps that are too large kill features; other tasks draw the trunk to themselves.
    Rule(
        "backbone_collapse",
        "model",
        "the backbone's features are dead",
        (*_NO_SIGNAL, "optimizer"),
    ),
    Rule(
        "under_trained",
        "model",
        "training was too short",
        (*_NO_SIGNAL, "optimizer", "head_destroys_space"),
    ),
    Rule("input_scale", "model", "the input is not standardised", _NO_SIGNAL),
    Rule(
        "loss_starvation",
        "model",
        "other losses drown this one",
        (*_NO_SIGNAL, "head_destroys_space"),
    ),
    Rule(
        "interference",
        "model",
        "other tasks disturb it",
        (*_NO_SIGNAL, "loss_starvation", "head_destroys_space"),
    ),
    Rule(
        "backbone_lacks_task",
        "model",
        "the backbone does not serve this task",
        (*_NO_SIGNAL, "optimizer", "backbone_collapse", *_OF_OTHER_TASKS),
    ),
)
#: The causes in the model.
_OF_MODELS = tuple(rule.cause for rule in RULES if rule.limit == "model")


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
    evidence = _raw_behind_a_poor_head(_slow_is_short(evidence))
    found = _found(evidence)
    undetermined, missing = _undecidable(evidence, found)
    # That the images do not tell the labels is certain; only why, may be open.
    found = [rule for rule in found if rule.cause not in set(undetermined) - {"no_signal"}]
    causes = tuple(_cause(rule, evidence) for rule in found)
    limits = {rule.limit for rule in found}
    if _is_behind(evidence) and not {rule.cause for rule in found} & set(_NO_SIGNAL):
        limits.add("model")
    if len(limits) == 2:
        limit = "mixed"
    elif limits:
        limit = limits.pop()
    else:
        limit = "undetermined" if undetermined or _unknown(evidence) else "healthy"
    sentence = _sentence(task, limit, found, evidence, undetermined, missing)
    return Verdict(limit, causes, sentence, undetermined, missing)


def _slow_is_short(evidence: Mapping[str, Evidence]) -> Mapping[str, Evidence]:
    """A rate that is too low is training that is too short: more of either helps."""
    rate = evidence.get("optimizer")
    if rate is None or not rate.found or not rate.details.get("rate_too_low"):
        return evidence
    return {
        **evidence,
        "optimizer": replace(rate, status="absent"),
        "under_trained": replace(rate, name="under_trained"),
    }


def _raw_behind_a_poor_head(evidence: Mapping[str, Evidence]) -> Mapping[str, Evidence]:
    """What a head without positions can reach at all is the measure of what raw inputs cost it."""
    scale = evidence.get("input_scale")
    if scale is None or scale.found or not _is_found("head_destroys_space", evidence):
        return evidence
    reach = scale.details.get("scores", {}).get("standardised inputs", 0.0)
    sure = (scale.interval or (0.0, 0.0))[0] > _SURELY
    if not sure or (scale.effect or 0.0) < _OF_REACH * reach:
        return evidence
    return {**evidence, "input_scale": replace(scale, status="found")}


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
    if {one.cause for one in found} & set(_SIGNAL_ELSEWHERE):
        found = [one for one in found if one.cause != "no_signal"]
    return found


def _explains(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether what other tasks do is enough of the gap to the reference, if one was measured."""
    if name not in _OF_OTHER_TASKS or not _is_behind(evidence):
        return True
    gap = evidence["model_gap"].effect or 0.0
    return (evidence[name].effect or 0.0) >= _EXPLAINS * gap


def _is_seen(name: str, one: Evidence, evidence: Mapping[str, Evidence]) -> bool:
    """Whether it cannot be that the reference alone mixes classes up.

    That some images are shared must be seen in the images. Beside labels that are wrong by
    chance, a poor reference takes neighbours for each other even where it is clear; beside
    classes that are not told apart at all, it does so with other classes, too. And no more labels
    are wrong than the best network gets wrong. Where there is hardly a signal, nothing is known
    of the labels.
    """
    low = (one.interval or (0.0, 0.0))[0]
    if name in ("uniform_noise", "structured_noise") and low > _most_errors(evidence):
        return False
    if name in _LABELS and _is_faint(evidence):
        return False
    if name == "ambiguity":
        return one.details.get("or_flipped", True) or _is_found("symmetry", evidence)
    if name == "structured_noise":
        near = one.details.get("neighbours") and _is_found("uniform_noise", evidence)
        return not near and not _are_twins(evidence)
    return True


def _are_twins(evidence: Mapping[str, Evidence]) -> bool:
    """Whether classes are not told apart at all."""
    found = _is_found("ambiguity", evidence)
    return found and bool(evidence["ambiguity"].details.get("or_flipped"))


def _most_errors(evidence: Mapping[str, Evidence]) -> float:
    """The share of held-out samples that the better of two networks gets wrong, with a margin."""
    details = evidence["model_gap"].details if "model_gap" in evidence else {}
    if details.get("metric") != "accuracy":
        return 1.0
    return 1 - max(details["reference_score"], details["user_score"]) + _MARGIN


def _is_found(name: str, evidence: Mapping[str, Evidence]) -> bool:
    return name in evidence and evidence[name].found


def _undecidable(
    evidence: Mapping[str, Evidence], found: list[Rule]
) -> tuple[tuple[str, ...], str]:
    """What the data cannot tell apart, and what would tell."""
    causes = {rule.cause for rule in found}
    if "ambiguity" in causes and "symmetry" not in causes and _are_twins(evidence):
        return _FLIPPED_OR_TWINS
    if "no_signal" in causes and not _higher_was_seen(evidence):
        return ("no_signal", "resolution"), "images of a higher resolution"
    if _is_faint(evidence) and _is_found("uniform_noise", evidence) and not causes:
        if _higher_was_seen(evidence):
            return ("uniform_noise", "no_signal"), "second labels for some"
        return (
            ("uniform_noise", "no_signal", "resolution"),
            "images of a higher resolution, or second labels for some",
        )
    # Other tasks may be why a trunk lacks features; the same few trainings tell of both causes.
    if "backbone_lacks_task" in causes and any(_is_open(n, evidence) for n in _OF_OTHER_TASKS):
        others = (name for name in _OF_OTHER_TASKS if name in evidence)
        return ("backbone_lacks_task", *others), _LONGER
    doubtful = tuple(name for name in _LABELS if _may_be(name, evidence))
    if "too_little_data" in causes and _are_few(evidence):
        return tuple(name for name in (*_LABELS, "imbalance") if _may_be(name, evidence)), _MORE
    if "too_little_data" in causes and doubtful:
        return ("too_little_data", *doubtful), _MORE
    of_model = tuple(name for name in _OF_MODELS if _may_be(name, evidence))
    if _is_behind(evidence) and of_model and not causes & set(_OF_MODELS):
        return of_model, _LONGER
    if causes:
        return (), ""
    if "signal" in evidence and evidence["signal"].status == "unclear":
        return ("no_signal", "too_little_data"), "more samples"
    if _may_be("uniform_noise", evidence, end=0):
        return ("uniform_noise", "too_little_data"), _MORE
    if _is_likely("imbalance", evidence):
        by_model = evidence["imbalance"].details.get("of") == "the model"
        return ("imbalance", "too_little_data"), _OF_RARE if by_model else _OF_A_MODEL
    hidden = tuple(name for name in _MAY_HIDE if _may_be(name, evidence))
    if _best_skill(evidence) < _HALF_OF_THE_WAY and len(hidden) > 1:
        return hidden, _MORE
    # Merging classes helps, which the images do not explain; flipped labels would.
    if _is_found("ambiguity", evidence) and _is_likely("structured_noise", evidence):
        return _FLIPPED_OR_TWINS
    return (), ""


def _are_few(evidence: Mapping[str, Evidence]) -> bool:
    """Whether there are too few samples for certain, whatever else there may be.

    That is so of a dozen a class, from which a task is learned badly, and better with each
    sample, unless it is evident that labels are wrong.
    """
    few = evidence["too_little_data"].details.get("samples_of_class", math.inf) < _FEW
    return few and not any(_may_be(name, evidence, end=0) for name in _LABELS)


def _higher_was_seen(evidence: Mapping[str, Evidence]) -> bool:
    """Whether images of a higher resolution were looked at."""
    return "resolution" in evidence and bool(evidence["resolution"].details.get("higher_given"))


def _is_open(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether a probe was to be run, but could not tell."""
    return name in evidence and evidence[name].status in ("unclear", "skipped")


def _may_be(name: str, evidence: Mapping[str, Evidence], end: int = 1) -> bool:
    """Whether an effect may be there, though it was not found.

    That is so if its interval reaches beyond the threshold; if all of it lies there (`end=0`),
    the effect is evident, but not what it comes from.
    """
    one = evidence.get(name)
    return one is not None and _is_unclear_beyond(one, one.interval and one.interval[end])


def _is_likely(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether the best estimate of an effect lies beyond the threshold, but is not sure."""
    one = evidence.get(name)
    return one is not None and _is_unclear_beyond(one, one.effect)


def _is_unclear_beyond(one: Evidence, value: float | None) -> bool:
    """Whether evidence is unclear, and a value of it lies beyond its threshold."""
    if one.status != "unclear" or value is None or one.threshold is None:
        return False
    return value > one.threshold


def _unknown(evidence: Mapping[str, Evidence]) -> bool:
    """Whether too little is known to call a task healthy."""
    signal, gap = evidence.get("signal"), evidence.get("model_gap")
    if signal is None or not signal.found or _best_skill(evidence) < _HALF_OF_THE_WAY:
        return True
    return gap is not None and gap.status in ("skipped", "unclear")


def _best_skill(evidence: Mapping[str, Evidence]) -> float:
    """How far anyone comes from the best guess to perfection, if that was measured for classes."""
    amount, gap = evidence.get("too_little_data"), evidence.get("model_gap")
    skills = [] if amount is None else [amount.details.get("way_from_constant")]
    if gap is not None and gap.details.get("metric") != "mae":  # half an error may be plenty
        skills += [gap.details.get("reference_skill"), gap.details.get("user_skill")]
    return max((skill for skill in skills if skill is not None), default=1.0)


def _is_faint(evidence: Mapping[str, Evidence]) -> bool:
    """Whether there is hardly more of a signal than chance may bring about."""
    return _is_found("signal", evidence) and _best_skill(evidence) < _FAINT


def _is_behind(evidence: Mapping[str, Evidence]) -> bool:
    """Whether a reference network does better than the model, for whatever reason."""
    return "model_gap" in evidence and evidence["model_gap"].found


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
    if _is_behind(evidence) and not any(rule.limit == "model" for rule in found):
        behind = "a reference network does better, and none of the tests tells why"
        named = f"{named}; {behind}" if named else behind
    said = {
        "data": f"The data limit {task}: {named}.",
        "model": f"The model limits {task}: {named}.",
        "mixed": f"Both the model and the data limit {task}: {named}.",
        "healthy": f"Nothing was found that holds {task} back.",
        "undetermined": f"What was measured does not tell what holds {task} back.",
    }[limit]
    if undetermined and found and not {rule.cause for rule in found} & set(undetermined):
        said += f" There may also be {' or '.join(undetermined)}; {missing} would tell."
    elif len(undetermined) == 1:
        said += f" It may be {undetermined[0]}; {missing} would tell."
    elif undetermined:
        said += f" The data cannot decide between {' and '.join(undetermined)}; {missing} would."
    return said
