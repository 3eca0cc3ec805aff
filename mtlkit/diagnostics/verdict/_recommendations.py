"""What to do about each cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlkit.diagnostics.diagnosis import Recommendation
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.verdict import Verdict


@dataclass(frozen=True)
class Remedy:
    """What helps against a cause, and the code that does it, with places for names."""

    text: str
    code: str = ""


#: The turns after which objects may look the same, and their degrees.
_PERIODS = {"rot180": 180, "rot90": 90}
#: Merges the classes that images do not tell apart; classes of any kind.
_MERGE = """\
groups = np.asarray(found.evidence["symmetry"].details["groups"])  # found: this diagnosis
merged = np.unique(groups, return_inverse=True)[1]  # the new class of each class
labels = np.where(labels < 0, -1, merged[labels])  # those of {task}; -1: unlabelled
head = mtl.heads.ClassificationHead(int(merged.max()) + 1, pooling="flatten")
"""
_MERGE_NEIGHBOURS = """\
labels = labels // 2  # of two neighbours one class; -1, unlabelled, stays
head = mtl.heads.ClassificationHead({half}, pooling="flatten")
"""
#: Finds the samples that a cause lists.
_SUSPECTS = """\
rows = found.evidence["{cause}"].details["suspects"]["rows"]  # found: this diagnosis
images = x[rows]  # have their labels checked"""
_WITH_HEAD = 'model = model.with_head("{task}", head)'

#: What helps, by cause.
REMEDIES = {
    "invalid_split": Remedy("Split anew, so that no image is in two splits; then diagnose again."),
    "misaligned_labels": Remedy("Bring inputs and labels back into the same order."),
    "no_signal": Remedy(
        "Look at inputs and labels side by side: what should show the label is not in the inputs, "
        "or the labels are those of other samples."
    ),
    "label_leak": Remedy(
        "Find out why the other task's labels, or marks in the training inputs, show this one's: "
        "the model learns them instead."
    ),
    "uniform_noise": Remedy(
        "Have the labels of the listed samples checked, the first ones first; a loss that smooths "
        "labels bears the rest.",
        _SUSPECTS,
    ),
    "structured_noise": Remedy(
        "Have the labels of the listed samples checked, the first ones first: they were exchanged "
        "for a certain other class.",
        _SUSPECTS,
    ),
    "ambiguity": Remedy(
        "Merge the classes that look the same, or predict them at two levels.",
        'matrix = found.evidence["confusion"].details["matrix"]  # found: this diagnosis\n'
        "tree = mtl.Hierarchy.from_confusion(matrix, num_groups={half})\n"
        'model = model.with_head("{task}", mtl.heads.HierarchicalHead(tree))',
    ),
    "symmetry": Remedy(
        "Make one class of those that images do not tell apart.", _MERGE + _WITH_HEAD
    ),
    "class_overlap": Remedy(
        "Make one class of two neighbours, whose images overlap.", _MERGE_NEIGHBOURS + _WITH_HEAD
    ),
    "needs_context": Remedy(
        "Let the task see what the other one predicts.",
        'mtl.Task("{task}", head, condition_on="{other}")',
    ),
    "imbalance": Remedy(
        "Draw batches in which classes are even.",
        'mtl.datasets.ClassBalancedBatches(x, y, "{task}", 8, 8)  # 8 classes, 8 samples of each',
    ),
    "resolution": Remedy("Train on the images of the higher resolution."),
    "too_little_data": Remedy("Label more samples, or turn and mirror those that there are."),
    "label_scale": Remedy("Bring the labels to mean 0 and deviation 1, or let the head do so."),
    "stale_batch_norm": Remedy(
        "Let the statistics of batch normalisation follow faster, or train for longer: the model "
        "is better in training mode than in use."
    ),
    "weak_features": Remedy(
        "Take the model that made the features as the backbone.",
        "backbone = mtl.backbones.KerasBackbone(pretrained)  # the model of `features`",
    ),
    "loss_mismatch": Remedy("Take the loss that comes with the head.", 'mtl.Task("{task}", head)'),
    "backbone_collapse": Remedy(
        "Initialise the backbone anew: its features are the same for every image."
    ),
    "optimizer": Remedy("Change the learning rate.", "model.compile(keras.optimizers.Adam(1e-3))"),
    "under_trained": Remedy("Train for longer."),
    "input_scale": Remedy(
        "Standardise the input.", "mtl.backbones.ConvBackbone(input_shape, normalize=True)"
    ),
    "head_destroys_space": Remedy(
        "Take a head that keeps positions.",
        'model = model.with_head("{task}", mtl.heads.OrientationHead({classes}, spatial="polar"))',
    ),
    "loss_starvation": Remedy(
        "Raise the task's weight, or stop the gradient of the task that drowns it.",
        'model.task_weights["{task}"].assign(weight)',
    ),
    "interference": Remedy(
        "Stop the gradient of the task that disturbs, or give each task features of its own.",
        'mtl.Task("{other}", head, gradient="stop")',
    ),
    "backbone_lacks_task": Remedy(
        "Let the task train the backbone, or read an earlier map.",
        'mtl.Task("{task}", head, gradient="flow", feature="input")',
    ),
}

#: What helps where labels are bins of a circle. (After a flip, bins are no circle any more.)
_ON_CIRCLE = {
    "symmetry": Remedy(
        "Give the head the period after which objects look the same.",
        'model = model.with_head("{task}", mtl.heads.OrientationHead({bins}, period={period}))\n'
        "# with labels modulo {bins}",
    ),
    "class_overlap": Remedy(
        "Take fewer, wider bins, or labels that spread over neighbours.",
        'model = model.with_head("{task}", mtl.heads.OrientationHead({classes}, target="smooth"))',
    ),
}
#: What helps where it is not known whether they are.
_EITHER = {
    "symmetry": Remedy(
        "Make one class of those that images do not tell apart; where labels are bins of a "
        "circle, give the head the period after which objects look the same.",
        f"{_MERGE}"
        "# bins of a circle: head = mtl.heads.OrientationHead({bins}, period={period})\n"
        f"{_WITH_HEAD}",
    ),
    "class_overlap": Remedy(
        "Make one class of two neighbours, whose images overlap; where labels are bins of a "
        "circle, let them spread over neighbours instead.",
        f"{_MERGE_NEIGHBOURS}"
        "# bins of a circle, labels as they were: "
        'head = mtl.heads.OrientationHead({classes}, target="smooth")\n'
        f"{_WITH_HEAD}",
    ),
}


def recommend(
    task: str,
    verdict: Verdict,
    evidence: Mapping[str, Evidence],
    *,
    circular: bool | None = None,
) -> tuple[Recommendation, ...]:
    """Says what to do about the causes of a verdict, the largest measured gain first."""
    found = []
    for cause in verdict.causes:
        if _is_of_symmetry(cause.name, verdict, evidence):
            continue
        details = _details(cause.name, evidence)
        remedy = _remedy(cause.name, details, circular)
        code = _filled(details.get("code") or remedy.code, cause.name, task, evidence)
        found.append(
            Recommendation(
                cause.name, remedy.text, code, details.get("gain"), details.get("gain_interval")
            )
        )
    return tuple(sorted(found, key=lambda one: -(one.gain or 0.0)))


def _details(name: str, evidence: Mapping[str, Evidence]) -> Mapping[str, Any]:
    return evidence[name].details if name in evidence else {}


def _remedy(cause: str, details: Mapping[str, Any], circular: bool | None) -> Remedy:
    """The remedy for labels of this kind."""
    no_turn = cause == "symmetry" and details.get("transform") not in _PERIODS
    if circular is False or no_turn or cause not in _ON_CIRCLE:
        return REMEDIES[cause]
    return (_ON_CIRCLE if circular else _EITHER)[cause]


def _is_of_symmetry(cause: str, verdict: Verdict, evidence: Mapping[str, Evidence]) -> bool:
    """Whether the classes that share images are the twins of a symmetry, which has a remedy."""
    if cause != "ambiguity" or "symmetry" not in {one.name for one in verdict.causes}:
        return False
    groups = _details("symmetry", evidence).get("groups")
    pairs = _details("ambiguity", evidence).get("pairs")
    if groups is None or not pairs:
        return True
    return bool(np.mean([groups[int(a)] == groups[int(b)] for a, b, _ in pairs]) > 0.5)


def _filled(code: str, cause: str, task: str, evidence: Mapping[str, Evidence]) -> str:
    """Code with names and numbers in their places."""
    details = _details(cause, evidence)
    classes = len(_details("confusion", evidence).get("matrix", ())) or 32
    period = _PERIODS.get(details.get("transform", ""), 360)
    places = {
        "cause": cause,
        "task": task,
        "other": details.get("task", "other"),
        "classes": classes,
        "half": max(2, -(-classes // 2)),
        "bins": max(2, classes * period // 360),
        "period": period,
    }
    for place, value in places.items():
        code = code.replace(f"{{{place}}}", str(value))
    return code
