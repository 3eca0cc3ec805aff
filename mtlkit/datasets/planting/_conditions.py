"""The table of conditions."""

from __future__ import annotations

from dataclasses import replace

from mtlkit.datasets.planting import (
    _fine_cue as fine_cue,
)
from mtlkit.datasets.planting import (
    _label_steps as label_steps,
)
from mtlkit.datasets.planting import (
    _leak_steps as leak_steps,
)
from mtlkit.datasets.planting import (
    _picture_steps as picture_steps,
)
from mtlkit.datasets.planting import (
    _split_steps as split_steps,
)
from mtlkit.datasets.planting._condition import Condition, Severity
from mtlkit.datasets.planting._pairs import adjacent_pairs, opposite_pairs
from mtlkit.datasets.planting._scene import Layout
from mtlkit.datasets.planting.recipe import Recipe

_RATE = Severity(0.2, 0.0, 0.95, sets="noise_rate")
#: Neighbouring bins overlap.
_OVERLAP = Layout(deviation=0.75)

#: A head that learns from the trunk, rather than from the input.
_FLATTEN = Recipe(spatial="flatten")
#: A head that suits the task, and reads from the trunk.
_THROUGH_TRUNK = Recipe(feature="stage1")
_POOL = Recipe(spatial="pool")
#: A trunk whose last map is small, so that tasks compete for it.
_NARROW = Recipe(spatial="flatten", filters=(16, 32, 32, 8), intensity_gradient="flow")

#: The conditions in which the data are at fault, or nothing is.
_DATA: dict[str, Condition] = {
    "clean": Condition("healthy"),
    "uniform_noise": Condition(
        "data", ("uniform_noise",), steps=(label_steps.flip_uniform,), severity=_RATE
    ),
    "pair_flip": Condition(
        "data",
        ("structured_noise",),
        steps=(label_steps.flip_opposite,),
        severity=Severity(0.2, 0.0, 0.4, sets="noise_rate"),
        pairs=opposite_pairs,
    ),
    "pair_flip_half": Condition(
        "undetermined",
        undetermined=("structured_noise", "ambiguity"),
        steps=(label_steps.flip_opposite,),
        severity=Severity(0.5, 0.5, 0.5, sets="noise_rate"),
        pairs=opposite_pairs,
    ),
    "adjacent_flip": Condition(
        "data",
        ("structured_noise",),
        steps=(label_steps.flip_adjacent,),
        severity=Severity(0.2, 0.0, 0.5, sets="noise_rate"),
        pairs=adjacent_pairs,
    ),
    "symmetry": Condition(
        "data",
        ("symmetry",),
        allowed=("ambiguity",),
        steps=(picture_steps.symmetrize,),
        pairs=opposite_pairs,
    ),
    "half_symmetry": Condition(
        "data",
        ("symmetry",),
        allowed=("ambiguity",),
        steps=(picture_steps.symmetrize_half,),
        pairs=opposite_pairs,
        details=(("identities", picture_steps.SYMMETRIC_HALF),),
    ),
    "twins_and_noise": Condition(
        "data",
        ("symmetry", "uniform_noise"),
        allowed=("ambiguity",),
        steps=(picture_steps.symmetrize, label_steps.flip_uniform),
        severity=_RATE,
        pairs=opposite_pairs,
    ),
    "class_overlap": Condition(
        "data",
        ("class_overlap",),
        allowed=("ambiguity",),
        layout=_OVERLAP,
        severity=Severity(0.75, 0.3, 3.0, sets="deviation"),
        pairs=adjacent_pairs,
    ),
    "no_signal": Condition("data", ("no_signal",), steps=(label_steps.permute_orientation,)),
    "lost_resolution": Condition(
        "undetermined",
        undetermined=("no_signal", "resolution"),
        steps=(fine_cue.hide_orientation,),
    ),
    "resolution": Condition(
        "data",
        ("resolution",),
        steps=(fine_cue.hide_orientation, fine_cue.add_fine_cue),
    ),
    "imbalance_hurts": Condition(
        "data",
        ("imbalance",),
        allowed=("class_overlap", "ambiguity", "too_little_data"),
        layout=Layout(zipf=True, deviation=0.75),
        recipe=_FLATTEN,
        pairs=adjacent_pairs,
    ),
    "imbalance_harmless": Condition("healthy", layout=Layout(zipf=True, spread=0.2)),
    "imbalance_and_little": Condition(
        "data",
        ("imbalance", "too_little_data"),
        undetermined=("imbalance", "too_little_data"),
        allowed=("class_overlap", "ambiguity"),
        layout=Layout(zipf=True, deviation=0.75),
        recipe=_FLATTEN,
        max_samples=600,
    ),
    "too_little_data": Condition("data", ("too_little_data",), max_samples=600),
    "needs_context": Condition(
        "data",
        ("needs_context",),
        allowed=("ambiguity",),
        steps=(leak_steps.shift_by_context,),
        details=(("shifts", leak_steps.CONTEXT_SHIFTS),),
    ),
    "identity_broken": Condition(
        "healthy",
        steps=(label_steps.permute_identity,),
        details=(("identity", "no_signal"),),
    ),
    "invalid_split": Condition(
        "data",
        ("invalid_split",),
        across=split_steps.copy_train_to_val,
        severity=Severity(1.0, 0.0, 1.0),
    ),
    "misaligned_labels": Condition(
        "data", ("misaligned_labels",), steps=(label_steps.shift_rows,), details=(("rows", 1),)
    ),
    "label_leak": Condition(
        "data", ("label_leak",), steps=(leak_steps.mark_pixels,), recipe=_FLATTEN
    ),
    "leak_through_identity": Condition(
        "undetermined",
        undetermined=("label_leak",),  # or a related task
        steps=(leak_steps.tell_by_identity,),
        severity=Severity(0.9, 0.0, 1.0),
    ),
}

#: The conditions in which the model is at fault, or looks as if it were.
_MODEL: dict[str, Condition] = {
    "head_destroys_space": Condition("model", ("head_destroys_space",), recipe=_POOL),
    "head_destroys_space_raw": Condition(
        "model",
        ("head_destroys_space", "input_scale"),
        recipe=replace(_POOL, normalize=False),
    ),
    "pool_and_noise": Condition(
        "mixed",
        ("head_destroys_space", "uniform_noise"),
        steps=(label_steps.flip_uniform,),
        recipe=_POOL,
        severity=_RATE,
    ),
    "input_scale": Condition(
        "model",
        ("input_scale",),
        steps=(picture_steps.dim,),
        recipe=replace(_FLATTEN, normalize=False),
        severity=Severity(0.02, 0.001, 0.2),
    ),
    "under_trained": Condition(
        "model",
        ("under_trained",),
        allowed=("optimizer",),
        severity=Severity(1e-5, 1e-7, 1e-4, sets="learning_rate"),
    ),
    "one_epoch": Condition(
        "model",
        ("under_trained",),
        recipe=Recipe(epochs=1, learning_rate=1e-4),
    ),
    "optimizer": Condition(
        "model",
        ("optimizer",),
        recipe=_FLATTEN,
        severity=Severity(0.5, 0.1, 100.0, sets="learning_rate"),
    ),
    "backbone_collapse": Condition(
        "model",
        ("backbone_collapse",),
        recipe=_THROUGH_TRUNK,
        severity=Severity(-10.0, -100.0, -10.0, sets="trunk_bias"),
    ),
    "loss_mismatch": Condition(
        "model", ("loss_mismatch",), recipe=replace(_FLATTEN, loss="earth_mover_alone")
    ),
    "softmax_twice": Condition(
        "model", ("loss_mismatch",), recipe=replace(_FLATTEN, loss="softmax_twice")
    ),
    "loss_starvation": Condition(
        "model",
        ("loss_starvation",),
        allowed=("interference",),
        recipe=_NARROW,
        severity=Severity(1000.0, 100.0, 1e6, sets="intensity_weight"),
    ),
    # Identity draws the narrow trunk to itself by its weight, so either says it.
    "interference": Condition(
        "model",
        ("interference",),
        allowed=("backbone_lacks_task",),
        instead=("loss_starvation",),
        recipe=replace(_NARROW, filters=(8, 8, 8, 8, 4)),
        severity=Severity(3.0, 1.0, 100.0, sets="identity_weight"),
    ),
    "gradient_conflict_harmless": Condition(
        "healthy",
        recipe=replace(_THROUGH_TRUNK, intensity_gradient="flow"),
    ),
}

#: All conditions by name.
CONDITIONS: dict[str, Condition] = {**_DATA, **_MODEL}
