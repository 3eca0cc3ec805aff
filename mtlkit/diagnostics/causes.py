"""The causes: what each is called, what explains it better, and what to do about it."""

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
        remedy: What to do about it.
        code: The lines that do it, with places for names and numbers.
    """

    cause: str
    limit: str
    title: str
    words: str
    unless: tuple[str, ...] = ()
    remedy: str = ""
    code: str = ""


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

#: Merges the classes that images do not tell apart; classes of any kind.
MERGE = """\
groups = np.asarray(found.evidence["symmetry"].details["groups"])  # found: this diagnosis
merged = np.unique(groups, return_inverse=True)[1]  # the new class of each class
labels = np.where(labels < 0, -1, merged[labels])  # those of {task}; -1: unlabelled
head = mtl.heads.ClassificationHead(int(merged.max()) + 1, pooling="flatten")
"""
MERGE_NEIGHBOURS = """\
labels = labels // 2  # of two neighbours one class; -1, unlabelled, stays
head = mtl.heads.ClassificationHead({half}, pooling="flatten")
"""
#: Finds the samples that a cause lists.
_SUSPECTS = """\
rows = found.evidence["{cause}"].details["suspects"]["rows"]  # found: this diagnosis
images = x[rows]  # have their labels checked"""
WITH_HEAD = 'model = model.with_head("{task}", head)'


#: The rules: a cause is there if its evidence was found, unless another one explains it.
RULES = (
    Rule(
        "invalid_split",
        "data",
        "leak between the splits",
        "validation samples are copies of training samples",
        remedy="Split anew, so that no image is in two splits; then diagnose again.",
    ),
    Rule(
        "misaligned_labels",
        "data",
        "labels that belong to other samples",
        "labels belong to other samples",
        ("invalid_split",),
        remedy="Bring inputs and labels back into the same order.",
    ),
    Rule(
        "no_signal",
        "data",
        "inputs that do not show the labels",
        "the inputs do not show the labels",
        INVALID,
        remedy=(
            "Look at inputs and labels side by side: what should show the label is not in the "
            "inputs, or the labels are those of other samples."
        ),
    ),
    Rule(
        "label_leak",
        "data",
        "labels that something else gives away",
        "something that will be missing in use gives the labels away",
        NO_SIGNAL,
        remedy=(
            "Find out why the other task's labels, or marks in the training inputs, show this "
            "one's: the model learns them instead."
        ),
    ),
    Rule(
        "needs_context",
        "data",
        "missing context of another task",
        "labels depend on what another task knows",
        INVALID,
        remedy="Let the task see what the other one predicts.",
        code='mtl.Task("{task}", head, condition_on="{other}")',
    ),
    # What comes of a context that the images do not show looks like any kind of wrong labels.
    Rule(
        "uniform_noise",
        "data",
        "uniform label noise",
        "labels are wrong by chance",
        _NO_SIGNAL_OR_CONTEXT,
        remedy=(
            "Have the labels of the listed samples checked, the first ones first; a loss that "
            "smooths labels bears the rest."
        ),
        code=_SUSPECTS,
    ),
    Rule(
        "symmetry",
        "data",
        "twins under a symmetry",
        "objects look the same after a turn",
        NO_SIGNAL,
        remedy="Make one class of those that images do not tell apart.",
        code=MERGE + WITH_HEAD,
    ),
    # Where images do not show a turn, the reference mixes up more than the turned classes.
    Rule(
        "class_overlap",
        "data",
        "overlapping classes",
        "neighbouring classes overlap",
        (*_NO_SIGNAL_OR_CONTEXT, "symmetry"),
        remedy="Make one class of two neighbours, whose images overlap.",
        code=MERGE_NEIGHBOURS + WITH_HEAD,
    ),
    Rule(
        "structured_noise",
        "data",
        "labels flipped between certain classes",
        "labels are exchanged for certain others",
        (*_NO_SIGNAL_OR_CONTEXT, "symmetry", "class_overlap"),
        remedy=(
            "Have the labels of the listed samples checked, the first ones first: they were "
            "exchanged for a certain other class."
        ),
        code=_SUSPECTS,
    ),
    Rule(
        "ambiguity",
        "data",
        "classes that look the same",
        "classes share their images",
        (*_NO_SIGNAL_OR_CONTEXT, "structured_noise", "class_overlap"),
        remedy="Merge the classes that look the same, or predict them at two levels.",
        code='matrix = found.evidence["confusion"].details["matrix"]  # found: this diagnosis\n'
        "tree = mtl.Hierarchy.from_confusion(matrix, num_groups={half})\n"
        'model = model.with_head("{task}", mtl.heads.HierarchicalHead(tree))',
    ),
    Rule(
        "imbalance",
        "data",
        "imbalanced classes",
        "rare classes are too rare",
        NO_SIGNAL,
        remedy="Draw batches in which classes are even.",
        code='mtl.datasets.ClassBalancedBatches(x, y, "{task}", 8, 8)  # 8 samples of 8 classes',
    ),
    Rule(
        "resolution",
        "data",
        "too low a resolution",
        "the images are too coarse",
        INVALID,
        remedy="Train on the images of the higher resolution.",
    ),
    Rule(
        "too_little_data",
        "data",
        "too little data",
        "there are too few samples",
        (*NO_SIGNAL, *LABELS, "needs_context"),
        remedy="Label more samples, or turn and mirror those that there are.",
    ),
    Rule(
        "label_scale",
        "model",
        "labels of one task that are far larger",
        "the labels of one task are far larger than others'",
        NO_SIGNAL,
        remedy="Bring the labels to mean 0 and deviation 1, or let the head do so.",
    ),
    Rule(
        "stale_batch_norm",
        "model",
        "statistics of batch normalisation that lag behind",
        "statistics of batch normalisation lag behind",
        NO_SIGNAL,
        remedy=(
            "Let the statistics of batch normalisation follow faster, or train for longer: the "
            "model is better in training mode than in use."
        ),
    ),
    Rule(
        "weak_features",
        "model",
        "features that another model has",
        "features of another model show more",
        NO_SIGNAL,
        remedy="Take the model that made the features as the backbone.",
        code="backbone = mtl.backbones.KerasBackbone(pretrained)  # the model of `features`",
    ),
    Rule(
        "loss_mismatch",
        "model",
        "loss that does not fit",
        "the loss does not let it learn",
        NO_SIGNAL,
        remedy="Take the loss that comes with the head.",
        code='mtl.Task("{task}", head)',
    ),
    Rule(
        "head_destroys_space",
        "model",
        "head that loses positions",
        "the head throws positions away",
        NO_SIGNAL,
        remedy="Take a head that keeps positions.",
        code=f"head = mtl.heads.OrientationHead({{classes}})\n{WITH_HEAD}",
    ),
    # What positions would show at once takes a head without them long, and other rates, and
    # meanwhile other tasks have the trunk.
    Rule(
        "optimizer",
        "model",
        "unsuitable optimizer or learning rate",
        "the optimizer's rate does not fit",
        (*NO_SIGNAL, "loss_mismatch", "head_destroys_space"),
        remedy="Change the learning rate.",
        code="model.compile(keras.optimizers.Adam(1e-3))",
    ),
    # Steps that are too large kill features; other tasks draw the trunk to themselves.
    Rule(
        "backbone_collapse",
        "model",
        "collapsed backbone",
        "the backbone's features are dead",
        (*NO_SIGNAL, "optimizer", *WIRED_WRONG),
        remedy="Initialise the backbone anew: its features are the same for every image.",
    ),
    Rule(
        "under_trained",
        "model",
        "too little training",
        "training was too short",
        (*NO_SIGNAL, "optimizer", "head_destroys_space"),
        remedy="Train for longer.",
    ),
    Rule(
        "input_scale",
        "model",
        "unsuitable scale of the inputs",
        "the input is not standardised",
        NO_SIGNAL,
        remedy="Standardise the input.",
        code=(
            "normalization = keras.layers.Normalization()\n"
            "normalization.adapt(x)  # the training inputs\n"
            "model.fit(normalization(x), y)  # from new weights; and the same in use"
        ),
    ),
    Rule(
        "loss_starvation",
        "model",
        "too small a share of the gradient",
        "other losses drown this one",
        (*NO_SIGNAL, "head_destroys_space", "label_scale"),
        remedy="Raise the task's weight, or stop the gradient of the task that drowns it.",
        code='model.task_weights["{task}"].assign(weight)',
    ),
    Rule(
        "interference",
        "model",
        "interference of other tasks",
        "other tasks disturb it",
        (*NO_SIGNAL, "loss_starvation", "head_destroys_space", "label_scale"),
        remedy=(
            "Stop the gradient of the task that disturbs, or give each task features of its own."
        ),
        code='mtl.Task("{other}", head, gradient="stop")',
    ),
    Rule(
        "backbone_lacks_task",
        "model",
        "backbone without features for the task",
        "the backbone does not serve this task",
        (*NO_SIGNAL, "optimizer", "backbone_collapse", *OF_OTHER_TASKS, *WIRED_WRONG),
        remedy="Let the task train the backbone, or read an earlier map.",
        code='mtl.Task("{task}", head, gradient="flow", feature="input")',
    ),
)
#: The causes in the model.
OF_MODELS = tuple(rule.cause for rule in RULES if rule.limit == "model")
#: Titles of the causes, and of what is only left open.
TITLES = {
    **{rule.cause: rule.title for rule in RULES},
    "weak_reference": "references that are too weak",
}
#: The rules by their causes.
BY_CAUSE = {rule.cause: rule for rule in RULES}
