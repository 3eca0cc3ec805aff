"""The causes, and when evidence makes one: a table of rules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """When evidence makes a cause.

    Attributes:
        cause: The cause, and the name of its evidence.
        limit: What it limits, `"data"` or `"model"`.
        title: A short name, for headings and lists.
        words: The cause as a sentence.
        unless: Causes that explain the evidence better, if they are there.
    """

    cause: str
    limit: str
    title: str
    words: str
    unless: tuple[str, ...] = ()


#: After these, nothing else can be believed.
INVALID = ("invalid_split", "misaligned_labels")
#: Wrong or shared labels, which make errors of any other kind.
LABELS = ("uniform_noise", "structured_noise", "ambiguity", "class_overlap")
NO_SIGNAL = (*INVALID, "no_signal")
_NO_SIGNAL_OR_CONTEXT = (*NO_SIGNAL, "needs_context")

#: Where the signal is, if not in the images alone.
SIGNAL_ELSEWHERE = ("resolution", "needs_context")
#: Faults of the wiring that hide features which the backbone has.
WIRED_WRONG = ("label_scale", "stale_batch_norm")
#: What other tasks do.
OF_OTHER_TASKS = ("interference", "loss_starvation")

#: The rules: a cause is there if its evidence was found, unless another one explains it.
RULES = (
    Rule(
        "invalid_split",
        "data",
        "leak between the splits",
        "validation samples are copies of training samples",
    ),
    Rule(
        "misaligned_labels",
        "data",
        "labels that belong to other samples",
        "labels belong to other samples",
        ("invalid_split",),
    ),
    Rule(
        "no_signal",
        "data",
        "inputs that do not show the labels",
        "the inputs do not show the labels",
        INVALID,
    ),
    Rule(
        "label_leak",
        "data",
        "labels that something else gives away",
        "something that will be missing in use gives the labels away",
        NO_SIGNAL,
    ),
    Rule(
        "needs_context",
        "data",
        "missing context of another task",
        "labels depend on what another task knows",
        INVALID,
    ),
    # What comes of a context that the images do not show looks like any kind of wrong labels.
    Rule(
        "uniform_noise",
        "data",
        "uniform label noise",
        "labels are wrong by chance",
        _NO_SIGNAL_OR_CONTEXT,
    ),
    Rule(
        "symmetry",
        "data",
        "twins under a symmetry",
        "objects look the same after a turn",
        NO_SIGNAL,
    ),
    # Where images do not tell a turn, the reference mixes up more than the turned classes.
    Rule(
        "class_overlap",
        "data",
        "overlapping classes",
        "neighbouring classes overlap",
        (*_NO_SIGNAL_OR_CONTEXT, "symmetry"),
    ),
    Rule(
        "structured_noise",
        "data",
        "labels flipped between certain classes",
        "labels are exchanged for certain others",
        (*_NO_SIGNAL_OR_CONTEXT, "symmetry", "class_overlap"),
    ),
    Rule(
        "ambiguity",
        "data",
        "classes that look the same",
        "classes share their images",
        (*_NO_SIGNAL_OR_CONTEXT, "structured_noise", "class_overlap"),
    ),
    Rule("imbalance", "data", "imbalanced classes", "rare classes are too rare", NO_SIGNAL),
    Rule("resolution", "data", "too low a resolution", "the images are too coarse", INVALID),
    Rule(
        "too_little_data",
        "data",
        "too little data",
        "there are too few samples",
        (*NO_SIGNAL, *LABELS, "needs_context"),
    ),
    Rule(
        "label_scale",
        "model",
        "labels of one task that are far larger",
        "the labels of one task are far larger than others'",
        NO_SIGNAL,
    ),
    Rule(
        "stale_batch_norm",
        "model",
        "statistics of batch normalisation that lag behind",
        "statistics of batch normalisation lag behind",
        NO_SIGNAL,
    ),
    Rule(
        "weak_features",
        "model",
        "features that another model has",
        "features of another model tell more",
        NO_SIGNAL,
    ),
    Rule(
        "loss_mismatch",
        "model",
        "loss that does not fit",
        "the loss does not let it learn",
        NO_SIGNAL,
    ),
    Rule(
        "head_destroys_space",
        "model",
        "head that loses positions",
        "the head throws positions away",
        NO_SIGNAL,
    ),
    # What positions would tell at once takes a head without them long, and other rates, and
    # meanwhile other tasks have the trunk.
    Rule(
        "optimizer",
        "model",
        "unsuitable optimizer or learning rate",
        "the optimizer's rate does not fit",
        (*NO_SIGNAL, "loss_mismatch", "head_destroys_space"),
    ),
    # Steps that are too large kill features; other tasks draw the trunk to themselves.
    Rule(
        "backbone_collapse",
        "model",
        "collapsed backbone",
        "the backbone's features are dead",
        (*NO_SIGNAL, "optimizer", *WIRED_WRONG),
    ),
    Rule(
        "under_trained",
        "model",
        "too little training",
        "training was too short",
        (*NO_SIGNAL, "optimizer", "head_destroys_space"),
    ),
    Rule(
        "input_scale",
        "model",
        "unsuitable scale of the inputs",
        "the input is not standardised",
        NO_SIGNAL,
    ),
    Rule(
        "loss_starvation",
        "model",
        "too small a share of the gradient",
        "other losses drown this one",
        (*NO_SIGNAL, "head_destroys_space", "label_scale"),
    ),
    Rule(
        "interference",
        "model",
        "interference of other tasks",
        "other tasks disturb it",
        (*NO_SIGNAL, "loss_starvation", "head_destroys_space", "label_scale"),
    ),
    Rule(
        "backbone_lacks_task",
        "model",
        "backbone without features for the task",
        "the backbone does not serve this task",
        (*NO_SIGNAL, "optimizer", "backbone_collapse", *OF_OTHER_TASKS, *WIRED_WRONG),
    ),
)
#: The causes in the model.
OF_MODELS = tuple(rule.cause for rule in RULES if rule.limit == "model")
#: Titles of the causes, and of what is only left open.
TITLES = {
    **{rule.cause: rule.title for rule in RULES},
    "weak_reference": "references that are too weak to tell",
}
