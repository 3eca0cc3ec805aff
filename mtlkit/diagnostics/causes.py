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
        "a leak between the splits",
        "validation samples are copies of training samples",
        remedy="Make new splits that share no sample, then diagnose again.",
    ),
    Rule(
        "unseen_classes",
        "data",
        "classes without training samples",
        "held-out samples are of classes that no training sample has",
        remedy=(
            "Divide the samples so that training has each class. If new classes are the point, "
            "learn an embedding, and compare new samples with known ones."
        ),
        code="head = mtl.heads.ContrastiveHead({classes})\n" + WITH_HEAD,
    ),
    Rule(
        "misaligned_labels",
        "data",
        "labels that belong to other samples",
        "labels belong to other samples",
        ("invalid_split",),
        remedy="Put inputs and labels back into the same order.",
    ),
    Rule(
        "no_signal",
        "data",
        "inputs that do not show the labels",
        "the inputs do not show the labels",
        INVALID,
        remedy=(
            "Look at inputs and labels side by side: either the inputs do not contain what the "
            "label depends on, or the labels belong to other samples."
        ),
    ),
    Rule(
        "label_leak",
        "data",
        "a label leak",
        "something that is missing when the model is used gives the labels away",
        NO_SIGNAL,
        remedy=(
            "Find out why the other task's labels, or marks in the training inputs, give this "
            "task's labels away: the model learns those instead."
        ),
    ),
    Rule(
        "needs_context",
        "data",
        "missing context from another task",
        "its labels depend on another task's",
        INVALID,
        remedy=(
            "The inputs do not show the other task's label. If it is known when the model is used, "
            "give it to the task; a prediction of it does not help."
        ),
        code='mtl.Task("{task}", head, condition_on="{other}", condition_from="data")',
    ),
    # What comes of a context that the images do not show looks like any kind of wrong labels.
    Rule(
        "uniform_noise",
        "data",
        "uniform label noise",
        "labels are wrong by chance",
        _NO_SIGNAL_OR_CONTEXT,
        remedy=(
            "Have the labels of the listed samples checked, starting with the first. A loss with "
            "label smoothing tolerates the rest better."
        ),
        code=_SUSPECTS,
    ),
    Rule(
        "symmetry",
        "data",
        "symmetric objects",
        "objects look the same when turned or mirrored",
        NO_SIGNAL,
        remedy="Merge the classes that the images do not tell apart.",
        code=MERGE + WITH_HEAD,
    ),
    # Where images do not show a turn, the reference mixes up more than the turned classes.
    Rule(
        "class_overlap",
        "data",
        "overlapping classes",
        "neighbouring classes overlap",
        (*_NO_SIGNAL_OR_CONTEXT, "symmetry"),
        remedy="Merge neighbouring classes in pairs: their images overlap.",
        code=MERGE_NEIGHBOURS + WITH_HEAD,
    ),
    Rule(
        "structured_noise",
        "data",
        "labels flipped between certain classes",
        "labels are flipped between certain classes",
        (*_NO_SIGNAL_OR_CONTEXT, "symmetry", "class_overlap"),
        remedy=(
            "Have the labels of the listed samples checked, starting with the first: they were "
            "probably flipped to one certain other class."
        ),
        code=_SUSPECTS,
    ),
    Rule(
        "ambiguity",
        "data",
        "classes that look the same",
        "some classes look the same",
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
        "rare classes have too few samples",
        NO_SIGNAL,
        remedy="Train on class-balanced batches.",
        code='mtl.datasets.ClassBalancedBatches(x, y, "{task}", 8, 8)  # 8 classes, 8 samples each',
    ),
    Rule(
        "resolution",
        "data",
        "too low a resolution",
        "the resolution of the images is too low",
        INVALID,
        remedy="Train on the images with the higher resolution.",
    ),
    Rule(
        "too_little_data",
        "data",
        "too little data",
        "there are too few samples",
        (*NO_SIGNAL, *LABELS, "needs_context"),
        remedy="Label more samples, or augment those that you have.",
    ),
    Rule(
        "label_scale",
        "model",
        "labels of one task on a far larger scale",
        "one task's labels are on a far larger scale than the others'",
        NO_SIGNAL,
        remedy="Standardise the labels to mean 0 and standard deviation 1, or let the head do so.",
    ),
    Rule(
        "stale_batch_norm",
        "model",
        "stale statistics of batch normalisation",
        "the statistics of batch normalisation lag behind",
        NO_SIGNAL,
        remedy=(
            "Lower the momentum of batch normalisation, or train for longer: the model does "
            "better in training mode than in inference mode."
        ),
    ),
    Rule(
        "weak_features",
        "model",
        "features that are weaker than another model's",
        "another model's features show more",
        NO_SIGNAL,
        remedy="Use the model that made the features as the backbone.",
        code="backbone = mtl.backbones.KerasBackbone(pretrained)  # the model of `features`",
    ),
    Rule(
        "loss_mismatch",
        "model",
        "an unsuitable loss",
        "the loss keeps it from learning",
        NO_SIGNAL,
        remedy="Use the loss that comes with the head.",
        code='mtl.Task("{task}", head)',
    ),
    Rule(
        "head_destroys_space",
        "model",
        "a head that throws positions away",
        "the head throws positions away",
        NO_SIGNAL,
        remedy="Use a head that keeps positions.",
        code=f"head = mtl.heads.OrientationHead({{classes}})\n{WITH_HEAD}",
    ),
    Rule(
        "head_lacks_context",
        "model",
        "a head that does not see another task",
        "its head does not see what another task predicts",
        (*NO_SIGNAL, "label_leak"),
        remedy="Condition the task on what the other task predicts.",
        code='mtl.Task("{task}", head, condition_on="{other}")',
    ),
    # What positions would show at once takes a head without them long, and other rates, and
    # meanwhile other tasks have the trunk.
    Rule(
        "optimizer",
        "model",
        "an unsuitable optimizer or learning rate",
        "the optimizer or its learning rate does not suit it",
        (*NO_SIGNAL, "loss_mismatch", "head_destroys_space"),
        remedy="Change the learning rate.",
        code="model.compile(keras.optimizers.Adam(1e-3))",
    ),
    # Steps that are too large kill features; other tasks draw the trunk to themselves.
    Rule(
        "backbone_collapse",
        "model",
        "a collapsed backbone",
        "the backbone's features are dead",
        (*NO_SIGNAL, "optimizer", *WIRED_WRONG),
        remedy="Reinitialise the backbone: its features are the same for every input.",
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
        "inputs that are not standardised",
        "the inputs are not standardised",
        NO_SIGNAL,
        remedy="Standardise the inputs.",
        code=(
            "normalization = keras.layers.Normalization()\n"
            "normalization.adapt(x)  # the training inputs\n"
            "model.fit(normalization(x), y)  # from new weights; predict on normalised inputs, too"
        ),
    ),
    Rule(
        "loss_starvation",
        "model",
        "too small a share of the gradient",
        "other tasks' losses drown this one",
        (*NO_SIGNAL, "head_destroys_space", "label_scale"),
        remedy="Raise the task's weight, or stop the gradient of the task that drowns it.",
        code='model.task_weights["{task}"].assign(weight)',
    ),
    Rule(
        "interference",
        "model",
        "interference from other tasks",
        "other tasks interfere with it",
        (*NO_SIGNAL, "loss_starvation", "head_destroys_space", "label_scale"),
        remedy="Stop the gradient of the task that interferes, or give each task its own features.",
        code='mtl.Task("{other}", head, gradient="stop")',
    ),
    Rule(
        "backbone_lacks_task",
        "model",
        "a backbone without features for the task",
        "the backbone has no features for it",
        (*NO_SIGNAL, "optimizer", "backbone_collapse", *OF_OTHER_TASKS, *WIRED_WRONG),
        remedy="Let the task train the backbone, or read an earlier feature map.",
        code='mtl.Task("{task}", head, gradient="flow", feature="input")',
    ),
)
#: The causes in the data, and in the model.
OF_DATA = tuple(rule.cause for rule in RULES if rule.limit == "data")
OF_MODELS = tuple(rule.cause for rule in RULES if rule.limit == "model")
#: Titles of the causes, and of what is only left open.
TITLES = {
    **{rule.cause: rule.title for rule in RULES},
    "weak_reference": "references that are too weak",
}
#: The rules by their causes.
BY_CAUSE = {rule.cause: rule for rule in RULES}
