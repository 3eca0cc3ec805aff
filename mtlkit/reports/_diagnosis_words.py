"""What the causes and the evidence of a diagnosis are called on its page."""

from __future__ import annotations

#: The causes that a diagnosis knows.
CAUSES = {
    "invalid_split": "leak between the splits",
    "misaligned_labels": "labels that belong to other images",
    "no_signal": "no signal in the images",
    "uniform_noise": "uniform label noise",
    "structured_noise": "labels flipped between certain classes",
    "ambiguity": "classes that look the same",
    "symmetry": "twins under a symmetry",
    "class_overlap": "overlapping classes",
    "imbalance": "imbalanced classes",
    "too_little_data": "too little data",
    "resolution": "too low a resolution",
    "needs_context": "missing context of another task",
    "label_leak": "labels that another task gives away",
    "head_destroys_space": "head that destroys spatial information",
    "backbone_lacks_task": "trunk without features for the task",
    "backbone_collapse": "collapsed trunk",
    "input_scale": "unfavourable scale of the inputs",
    "under_trained": "too little training",
    "optimizer": "unfavourable optimizer or learning rate",
    "loss_mismatch": "loss that does not fit",
    "interference": "interference of other tasks",
    "loss_starvation": "too small a share of the gradient",
}
#: Evidence that describes, and is no cause.
DESCRIPTIONS = {
    "signal": "signal in the images",
    "skill": "skill beside the baseline",
    "model_gap": "lead of a reference over the model",
    "uncertainty": "uncertainty of the predictions",
    "confusion": "confusion of classes",
    "gallery": "what the classes look like",
    "location": "where along the network the task can be read",
}
#: What limits a task.
LIMITS = {
    "data": "limited by the data",
    "model": "limited by the model",
    "mixed": "limited by data and model",
    "healthy": "healthy",
    "undetermined": "cannot be told",
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
