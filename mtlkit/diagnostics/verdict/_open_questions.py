"""What the evidence leaves open, and what would decide it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mtlkit.diagnostics.causes import LABELS, OF_MODELS, OF_OTHER_TASKS, TITLES, WIRED_WRONG, Rule
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.thresholds import LIKELY_NOISE
from mtlkit.diagnostics.verdict._readings import (
    HALF_OF_THE_WAY,
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

#: So few samples of a class are few for any task that is not learned from them.
_FEW = 20
#: Of classes so uneven, the rare ones have next to no samples where there are few.
_UNEVEN = 10
#: What may hide behind a poor score of all that were tried, and what would tell.
_MAY_HIDE = ("too_little_data", "uniform_noise", "structured_noise", "ambiguity", "imbalance")
_MORE = "more samples, or second labels for some"
_LONGER = "more and longer trainings (a larger `budget`)"
_BETTER_REFERENCE = (
    "embeddings of a pretrained model (`features=`), or a second label for some hundred samples"
)
_THE_REST = "the rest of the diagnosis, which was interrupted"
_HIGHER = "images of a higher resolution (`x_high=`)"
_OF_RARE = "more held-out samples of the rare classes"
_OF_A_MODEL = "what a trained model predicts for held-out samples (as `diagnose` looks at)"
_FLIPPED_OR_TWINS = (
    ("structured_noise", "ambiguity"),
    "a second label for some hundred images, given without knowing the first",
)
_FLIPPED_OR_OVERLAP = (("structured_noise", "class_overlap"), "several labels an image")


def undecidable(evidence: Mapping[str, Evidence], found: list[Rule]) -> tuple[tuple[str, ...], str]:
    """What the data cannot tell apart, and what would tell."""
    causes = {rule.cause for rule in found}
    if "ambiguity" in causes and "symmetry" not in causes and are_twins(evidence):
        return _FLIPPED_OR_TWINS
    if "no_signal" in causes and not higher_was_seen(evidence):
        return _why_no_signal(evidence)
    if is_faint(evidence) and is_found("uniform_noise", evidence) and not causes:
        if higher_was_seen(evidence):
            return ("uniform_noise", "no_signal"), "second labels for some"
        return (
            ("uniform_noise", "no_signal", "resolution"),
            "images of a higher resolution, or second labels for some",
        )
    doubted = (*LABELS, "too_little_data")
    weak = tuple(
        name
        for name in doubted
        if is_of_weak_reference(name, evidence) or is_contradicted(name, evidence)
    )
    of_model = tuple(name for name in OF_MODELS if may_be(name, evidence))
    behind = of_model if is_behind(evidence) and not causes & set(OF_MODELS) else ()
    if weak and not causes:
        decide = f"{_LONGER}; {_BETTER_REFERENCE}" if behind else _BETTER_REFERENCE
        return (*behind, *weak, "weak_reference"), decide
    # Other tasks may be why a trunk lacks features; the same few trainings tell of both causes.
    if "backbone_lacks_task" in causes and any(is_open(n, evidence) for n in OF_OTHER_TASKS):
        others = (name for name in OF_OTHER_TASKS if name in evidence)
        return ("backbone_lacks_task", *others), _LONGER
    # A network whose head loses positions stays long where it began, whatever its inputs.
    if "head_destroys_space" in causes and is_unclear("input_scale", evidence):
        return ("input_scale",), _LONGER
    doubtful = tuple(name for name in LABELS if may_be(name, evidence))
    if "too_little_data" in causes and _are_few(evidence):
        return tuple(name for name in (*LABELS, "imbalance") if _may_hide(name, evidence)), _MORE
    if "too_little_data" in causes and doubtful:
        return ("too_little_data", *doubtful), _MORE
    if behind:
        return behind, _LONGER
    if are_mixed_alike(evidence) and not causes & {*LABELS, "needs_context", "symmetry"}:
        return _FLIPPED_OR_OVERLAP
    if causes:
        return (), ""
    if "signal" in evidence and evidence["signal"].status == "unclear":
        return ("no_signal", "too_little_data"), "more samples"
    likely = is_likely("uniform_noise", evidence)
    if may_be("uniform_noise", evidence, end=0) or (
        likely and (evidence["uniform_noise"].effect or 0.0) > LIKELY_NOISE
    ):
        return ("uniform_noise", "too_little_data"), _MORE
    if is_likely("imbalance", evidence):
        by_model = evidence["imbalance"].details.get("of") == "the model"
        return ("imbalance", "too_little_data"), _OF_RARE if by_model else _OF_A_MODEL
    hidden = tuple(name for name in _MAY_HIDE if _may_hide(name, evidence))
    if best_skill(evidence) < HALF_OF_THE_WAY and len(hidden) > 1:
        return hidden, _MORE
    # Merging classes helps, which the images do not explain; flipped labels would.
    if is_likely("structured_noise", evidence) and (
        is_found("ambiguity", evidence) or evidence["structured_noise"].details.get("single_pairs")
    ):
        return _FLIPPED_OR_TWINS
    if was_interrupted(evidence):
        left = (name for name, one in evidence.items() if one.details.get("interrupted"))
        return tuple(name for name in left if name in TITLES), _THE_REST
    if is_unknown(evidence):
        causes_left = _not_measured(evidence)
        if "model_gap" in evidence and evidence["model_gap"].status == "absent":
            # The model is as good as all references, and all of them are poor.
            of_data = tuple(name for name in causes_left if name not in OF_MODELS)
            return (*of_data, "weak_reference"), _BETTER_REFERENCE
        if "model_gap" in evidence:
            return causes_left, _LONGER
        return causes_left, _MORE if causes_left else _OF_A_MODEL
    if is_likely("resolution", evidence) and evidence["resolution"].details["detail_share"] < 1:
        return ("resolution",), _HIGHER
    if is_related(evidence):
        return ("label_leak",), "whether the other label is known where the model is used"
    return (), ""


def _why_no_signal(evidence: Mapping[str, Evidence]) -> tuple[tuple[str, ...], str]:
    """Why samples may not show their labels, though the other tasks may be read from them."""
    causes, decide = ["no_signal"], []
    if others_are_read(evidence):
        # Only labels that slipped by a few rows were looked for, not those in another order.
        causes.append("misaligned_labels")
        decide.append("a look at whether labels and samples are in the same order")
    if "resolution" in evidence:
        causes.append("resolution")
        decide.append("images of a higher resolution")
    return (tuple(causes), ", or ".join(decide)) if decide else ((), "")


def _not_measured(evidence: Mapping[str, Evidence]) -> tuple[str, ...]:
    """What may be, where too little is known to tell anything."""
    asked = (*_MAY_HIDE, *OF_MODELS) if "model_gap" in evidence else _MAY_HIDE
    measured = [name for name in asked if name not in (*WIRED_WRONG, "weak_features")]
    return tuple(name for name in measured if name not in evidence or is_open(name, evidence))


def _are_few(evidence: Mapping[str, Evidence]) -> bool:
    """Whether there are too few samples for certain, whatever else there may be.

    That is so of a dozen a class, from which a task is learned badly, and better with each
    sample, unless it is evident that labels are wrong.
    """
    few = _samples_of_class(evidence) < _FEW
    return few and not any(may_be(name, evidence, end=0) for name in LABELS)


def _may_hide(name: str, evidence: Mapping[str, Evidence]) -> bool:
    """Whether an effect may be there, though it was not found, or could not even be seen.

    Of a handful of samples of the rare classes, a simple reference sees nothing: neither what
    more of them would bring, nor what their rarity costs.
    """
    if may_be(name, evidence):
        return True
    if name not in ("too_little_data", "imbalance") or _samples_of_class(evidence) >= _FEW:
        return False
    details = evidence["imbalance"].details if "imbalance" in evidence else {}
    return details.get("of") == "the reference" and details["ratio"] >= _UNEVEN


def _samples_of_class(evidence: Mapping[str, Evidence]) -> float:
    details = evidence["too_little_data"].details if "too_little_data" in evidence else {}
    return details.get("samples_of_class", math.inf)
