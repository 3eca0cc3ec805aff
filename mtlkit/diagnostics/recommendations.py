"""What to do about each cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mtlkit.diagnostics.diagnosis import Recommendation
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.verdict import Verdict


@dataclass(frozen=True)
class Remedy:
    """What helps against a cause, and the code that does it, with places for names."""

    text: str
    code: str = ""


#: What helps, by cause.
REMEDIES = {
    "invalid_split": Remedy("Split anew, so that no image is in two splits; then diagnose again."),
    "misaligned_labels": Remedy("Bring images and labels back into the same order."),
    "no_signal": Remedy(
        "Look at images and labels side by side: what should tell the label is not in the images, "
        "or the labels are not theirs. A higher resolution may show it."
    ),
    "label_leak": Remedy(
        "Find out why the other task's labels, or marks in the training images, tell this one's: "
        "the model learns them instead."
    ),
    "uniform_noise": Remedy(
        "Have the labels checked that the model finds least likely; a loss that smooths labels "
        "bears the rest."
    ),
    "structured_noise": Remedy("Have labels of the listed pairs checked: they were exchanged."),
    "ambiguity": Remedy(
        "Merge the classes that share images, or predict them at two levels.",
        'matrix = found.evidence["confusion"].details["matrix"]  # found: this diagnosis\n'
        "tree = mtl.Hierarchy.from_confusion(matrix, num_groups={half})\n"
        'model = model.with_head("{task}", mtl.heads.HierarchicalHead(tree))',
    ),
    "symmetry": Remedy(
        "Give the head the period after which objects look the same.",
        'model = model.with_head("{task}", mtl.heads.OrientationHead({half}, period=180))\n'
        "# with labels modulo {half}",
    ),
    "class_overlap": Remedy(
        "Take fewer, wider bins, or labels that spread over neighbours.",
        'model = model.with_head("{task}", mtl.heads.OrientationHead({classes}, target="smooth"))',
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


def recommend(
    task: str, verdict: Verdict, evidence: Mapping[str, Evidence]
) -> tuple[Recommendation, ...]:
    """Says what to do about the causes of a verdict, the largest measured gain first.

    Args:
        task: Name of the task.
        verdict: The verdict.
        evidence: What it rests on. Where `details` has `"gain"` (and `"gain_interval"`,
            `"code"`), they were measured for this model, and are taken.

    Returns:
        The recommendations.

    Example:
        ```python
        from mtlkit.diagnostics import Evidence, decide
        from mtlkit.diagnostics.recommendations import recommend

        evidence = {"symmetry": Evidence("symmetry", "found", "180 degrees.", 0.4, (0.3, 0.5))}
        first, *_ = recommend("pose", decide(evidence), evidence)
        assert "period=180" in first.code
        ```
    """
    matrix = evidence["confusion"].details["matrix"] if "confusion" in evidence else ()
    classes = len(matrix) or 32
    found = []
    for cause in verdict.causes:
        one = evidence.get(cause.name)
        details = {} if one is None else one.details
        remedy = REMEDIES[cause.name]
        code = details.get("code") or remedy.code
        other = str(details.get("task", "other"))
        for place, value in (("task", task), ("other", other), ("classes", classes)):
            code = code.replace(f"{{{place}}}", str(value))
        code = code.replace("{half}", str(max(2, classes // 2)))
        found.append(
            Recommendation(
                cause.name, remedy.text, code, details.get("gain"), details.get("gain_interval")
            )
        )
    return tuple(sorted(found, key=lambda one: -(one.gain or 0.0)))
