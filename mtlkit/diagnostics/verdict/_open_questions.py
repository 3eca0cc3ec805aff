"""What the evidence leaves open, and what would decide it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from mtlkit.diagnostics.causes import LABELS, OF_MODELS, OF_OTHER_TASKS, TITLES, WIRED_WRONG, Rule
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.thresholds import FEW_SAMPLES, HALF_OF_THE_WAY, LIKELY_NOISE, UNEVEN_CLASSES
from mtlkit.diagnostics.verdict._readings import (
    are_mixed_alike,
    are_twins,
    best_skill,
    higher_was_seen,
    is_behind,
    is_contradicted,
    is_faint,
    is_found,
    is_likely,
    is_of_weak_reference,
    is_open,
    is_related,
    is_unclear,
    is_unknown,
    may_be,
    others_are_read,
    was_interrupted,
)

#: What may hide behind a poor score of all that were tried.
_MAY_HIDE = ("too_little_data", "uniform_noise", "structured_noise", "ambiguity", "imbalance")

# What would decide.
_MORE = "more samples, or a second label for some of them"
_LONGER = "more and longer training runs (a larger `budget`)"
_BETTER_REFERENCE = (
    "embeddings from a pretrained model (`features=`), or a second label for a few hundred samples"
)
_HIGHER = "the same images at a higher resolution (`x_high=`)"
_OF_RARE = "more held-out samples of the rare classes"
_OF_A_MODEL = "the predictions of a trained model for held-out samples, which `diagnose` looks at"
_SECOND_LABEL = "a second label for a few hundred samples, given without knowing the first"
_SEVERAL_LABELS = "several labels per sample"
_THE_REST = "the rest of the diagnosis, which was interrupted"
_CONDITIONED = "a head that sees what the other task predicts (`condition_on=`)"
_SAME_ORDER = "a check that labels and samples are in the same order"
_WHERE_USED = "whether the other label is known when the model is used"

Evidences = Mapping[str, Evidence]


class Case:
    """The evidence, and what follows from it alone.

    Attributes:
        evidence: What was measured, by name.
        causes: The causes that it makes.
    """

    def __init__(self, evidence: Evidences, found: list[Rule]) -> None:
        self.evidence = evidence
        self.causes = {rule.cause for rule in found}

    @cached_property
    def weak(self) -> tuple[str, ...]:
        """Effects that references do not agree on."""
        doubted = (*LABELS, "too_little_data")
        return tuple(
            name
            for name in doubted
            if is_of_weak_reference(name, self.evidence) or is_contradicted(name, self.evidence)
        )

    @cached_property
    def of_model(self) -> tuple[str, ...]:
        """What about a model that is behind may be why, though it was not found."""
        if not is_behind(self.evidence) or self.causes & set(OF_MODELS):
            return ()
        return tuple(name for name in OF_MODELS if may_be(name, self.evidence))

    @cached_property
    def of_labels(self) -> tuple[str, ...]:
        """What may be wrong with the labels, though it was not found."""
        return tuple(name for name in LABELS if may_be(name, self.evidence))

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """What may hide behind a poor score."""
        return tuple(name for name in _MAY_HIDE if _may_hide(name, self.evidence))


@dataclass(frozen=True)
class Question:
    """What the evidence may leave open.

    Attributes:
        when: Whether it is open.
        among: The causes among which it is, or what returns them.
        decides: What would decide, or what returns it.
    """

    when: Callable[[Case], bool]
    among: tuple[str, ...] | Callable[[Case], tuple[str, ...]]
    decides: str | Callable[[Case], str]


def undecidable(evidence: Evidences, found: list[Rule]) -> tuple[tuple[str, ...], str]:
    """What the data cannot tell apart, and what would: the first question that is open."""
    case = Case(evidence, found)
    for question in QUESTIONS:
        if question.when(case):
            among, decides = question.among, question.decides
            return (
                among(case) if callable(among) else among,
                decides(case) if callable(decides) else decides,
            )
    return (), ""


# === When a question is open ===


def _twins_or_flips(case: Case) -> bool:
    named = "ambiguity" in case.causes and "symmetry" not in case.causes
    return named and are_twins(case.evidence)


def _no_signal(case: Case) -> bool:
    return "no_signal" in case.causes and not higher_was_seen(case.evidence)


def _faint_and_noisy(case: Case) -> bool:
    noisy = is_found("uniform_noise", case.evidence) and not case.causes
    return noisy and is_faint(case.evidence)


def _weak_references(case: Case) -> bool:
    return bool(case.weak) and not case.causes


def _trunk_or_other_tasks(case: Case) -> bool:
    """Other tasks may be why a trunk lacks features; the same few trainings show both causes."""
    lacks = "backbone_lacks_task" in case.causes
    return lacks and any(is_open(name, case.evidence) for name in OF_OTHER_TASKS)


def _raw_behind_a_poor_head(case: Case) -> bool:
    """A network whose head loses positions stays long where it began, whatever its inputs."""
    return "head_destroys_space" in case.causes and is_unclear("input_scale", case.evidence)


def _few_samples(case: Case) -> bool:
    return "too_little_data" in case.causes and _are_few(case.evidence)


def _few_or_wrong_labels(case: Case) -> bool:
    return "too_little_data" in case.causes and bool(case.of_labels)


def _model_is_behind(case: Case) -> bool:
    return bool(case.of_model)


def _wrong_or_late(case: Case) -> bool:
    """Labels that slipped by a few rows of a series are wrong only where the label changes."""
    slip = case.evidence.get("misaligned_labels")
    gains = slip is not None and slip.interval is not None and slip.interval[0] > 0
    return gains and "uniform_noise" in case.causes


def _flips_or_overlap(case: Case) -> bool:
    named = case.causes & {*LABELS, "needs_context", "symmetry"}
    return are_mixed_alike(case.evidence) and not named


def _is_explained(case: Case) -> bool:
    return bool(case.causes)


def _signal_is_unclear(case: Case) -> bool:
    return is_unclear("signal", case.evidence)


def _noise_or_few(case: Case) -> bool:
    if may_be("uniform_noise", case.evidence, end=0):
        return True
    likely = is_likely("uniform_noise", case.evidence)
    return likely and (case.evidence["uniform_noise"].effect or 0.0) > LIKELY_NOISE


def _uneven_or_few(case: Case) -> bool:
    return is_likely("imbalance", case.evidence)


def _poor_score(case: Case) -> bool:
    return best_skill(case.evidence) < HALF_OF_THE_WAY and len(case.hidden) > 1


def _merging_helps(case: Case) -> bool:
    """Merging classes helps, which the images do not explain; flipped labels would."""
    if not is_likely("structured_noise", case.evidence):
        return False
    single = case.evidence["structured_noise"].details.get("single_pairs")
    return bool(single) or is_found("ambiguity", case.evidence)


def _interrupted(case: Case) -> bool:
    return was_interrupted(case.evidence)


def _unknown(case: Case) -> bool:
    return is_unknown(case.evidence)


def _enlarged(case: Case) -> bool:
    likely = is_likely("resolution", case.evidence)
    return likely and case.evidence["resolution"].details.get("detail_share", 1.0) < 1


def _context_is_shown(case: Case) -> bool:
    """The label seems to mean something only beside another one, which the inputs show."""
    one = case.evidence.get("needs_context")
    shown = one is not None and bool(one.details.get("shown"))
    return shown and bool(_context_or_labels(case))


def _related_label(case: Case) -> bool:
    return is_related(case.evidence)


# === Among which causes, and what would decide ===


def _why_no_signal(case: Case) -> tuple[str, ...]:
    """Why samples may not show their labels, though the other tasks may be read from them."""
    causes = ["no_signal"]
    if others_are_read(case.evidence):
        # Only labels that slipped by a few rows were looked for, not those in another order.
        causes.append("misaligned_labels")
    if "resolution" in case.evidence:
        causes.append("resolution")
    return tuple(causes) if len(causes) > 1 else ()


def _shows_signal(case: Case) -> str:
    decide = []
    if others_are_read(case.evidence):
        decide.append(_SAME_ORDER)
    if "resolution" in case.evidence:
        decide.append("the same images at a higher resolution")
    return ", or ".join(decide)


def _noise_or_none(case: Case) -> tuple[str, ...]:
    coarse = ("resolution",) if _may_be_coarse(case) else ()
    return ("uniform_noise", "no_signal", *coarse)


def _may_be_coarse(case: Case) -> bool:
    """Whether the inputs are images that may have too few pixels."""
    return "resolution" in case.evidence and not higher_was_seen(case.evidence)


def _shows_noise(case: Case) -> str:
    if not _may_be_coarse(case):
        return "a second label for some samples"
    return "the same images at a higher resolution, or a second label for some samples"


def _context_or_labels(case: Case) -> tuple[str, ...]:
    context = () if "head_lacks_context" in case.causes else ("needs_context",)
    few = ("too_little_data",) if "too_little_data" in case.causes else ()
    return tuple(dict.fromkeys((*context, *case.weak, *case.of_labels, *few)))


def _shows_context(case: Case) -> str:
    if "head_lacks_context" in case.evidence and not is_open("head_lacks_context", case.evidence):
        return _MORE  # such a head was tried
    return f"{_CONDITIONED}, or {_MORE}" if len(_context_or_labels(case)) > 1 else _CONDITIONED


def _weak_or_model(case: Case) -> tuple[str, ...]:
    return (*case.of_model, *case.weak, "weak_reference")


def _shows_weakness(case: Case) -> str:
    return f"{_LONGER}; {_BETTER_REFERENCE}" if case.of_model else _BETTER_REFERENCE


def _lacks_or_disturbed(case: Case) -> tuple[str, ...]:
    others = (name for name in OF_OTHER_TASKS if name in case.evidence)
    return ("backbone_lacks_task", *others)


def _hidden_by_few(case: Case) -> tuple[str, ...]:
    return tuple(name for name in (*LABELS, "imbalance") if _may_hide(name, case.evidence))


def _few_or_labels(case: Case) -> tuple[str, ...]:
    return ("too_little_data", *case.of_labels)


def _imbalance_or_hidden(case: Case) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("imbalance", *case.hidden)))


def _shows_rare(case: Case) -> str:
    by_model = case.evidence["imbalance"].details.get("of") == "the model"
    return _OF_RARE if by_model else _OF_A_MODEL


def _not_come_to(case: Case) -> tuple[str, ...]:
    left = (name for name, one in case.evidence.items() if one.details.get("interrupted"))
    return tuple(name for name in left if name in TITLES)


def _all_are_poor(case: Case) -> bool:
    """Whether the model is as good as all references, and all of them are poor."""
    return "model_gap" in case.evidence and case.evidence["model_gap"].status == "absent"


def _not_measured(case: Case) -> tuple[str, ...]:
    """What may be, where too little is known to tell anything."""
    evidence = case.evidence
    hidden = _MAY_HIDE if "confusion" in evidence else ("too_little_data",)  # of values
    asked = (*hidden, *OF_MODELS) if "model_gap" in evidence else hidden
    measured = [name for name in asked if name not in (*WIRED_WRONG, "weak_features")]
    left = [name for name in measured if name not in evidence or is_open(name, evidence)]
    if _all_are_poor(case):
        left = [*(name for name in left if name not in OF_MODELS), "weak_reference"]
    return tuple(left)


def _shows_more(case: Case) -> str:
    if _all_are_poor(case):
        return _BETTER_REFERENCE
    if "model_gap" in case.evidence:
        return _LONGER
    return _MORE if _not_measured(case) else _OF_A_MODEL


#: What may be open, the first one that is counts. What stands below `_is_explained` is asked only
#: where no cause was found.
QUESTIONS = (
    Question(_twins_or_flips, ("structured_noise", "ambiguity"), _SECOND_LABEL),
    Question(_no_signal, _why_no_signal, _shows_signal),
    Question(_faint_and_noisy, _noise_or_none, _shows_noise),
    Question(_context_is_shown, _context_or_labels, _shows_context),
    Question(_weak_references, _weak_or_model, _shows_weakness),
    Question(_trunk_or_other_tasks, _lacks_or_disturbed, _LONGER),
    Question(_raw_behind_a_poor_head, ("input_scale",), _LONGER),
    Question(_few_samples, _hidden_by_few, _MORE),
    Question(_few_or_wrong_labels, _few_or_labels, _MORE),
    Question(_model_is_behind, lambda case: case.of_model, _LONGER),
    Question(_wrong_or_late, ("uniform_noise", "misaligned_labels"), _SAME_ORDER),
    Question(_flips_or_overlap, ("structured_noise", "class_overlap"), _SEVERAL_LABELS),
    Question(_is_explained, (), ""),
    Question(_signal_is_unclear, ("no_signal", "too_little_data"), "more samples"),
    Question(_noise_or_few, ("uniform_noise", "too_little_data"), _MORE),
    Question(_uneven_or_few, _imbalance_or_hidden, _shows_rare),
    Question(_poor_score, lambda case: case.hidden, _MORE),
    Question(_merging_helps, ("structured_noise", "ambiguity"), _SECOND_LABEL),
    Question(_interrupted, _not_come_to, _THE_REST),
    Question(_unknown, _not_measured, _shows_more),
    Question(_enlarged, ("resolution",), _HIGHER),
    Question(_related_label, ("label_leak",), _WHERE_USED),
)


# === What both ask ===


def _are_few(evidence: Mapping[str, Evidence]) -> bool:
    """Whether there are too few samples for certain, whatever else there may be.

    That is so of a dozen a class, from which a task is learned badly, and better with each
    sample, unless it is evident that labels are wrong.
    """
    few = _samples_of_class(evidence) < FEW_SAMPLES
    return few and not any(may_be(name, evidence, end=0) for name in LABELS)


def _may_hide(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether an effect may be there, though it was not found, or could not even be seen.

    Of a handful of samples of the rare classes, a simple reference sees nothing: neither what
    more of them would bring, nor what their rarity costs.
    """
    if may_be(name, evidence):
        return True
    if name not in ("too_little_data", "imbalance") or _samples_of_class(evidence) >= FEW_SAMPLES:
        return False
    details = evidence["imbalance"].details if "imbalance" in evidence else {}
    return details.get("of") == "the reference" and details["ratio"] >= UNEVEN_CLASSES


def _samples_of_class(evidence: Mapping[str, Evidence]) -> float:
    details = evidence["too_little_data"].details if "too_little_data" in evidence else {}
    return details.get("samples_of_class", math.inf)
