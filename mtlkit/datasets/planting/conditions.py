"""The table of conditions."""

from __future__ import annotations

from mtlkit.datasets.planting import label_steps, picture_steps
from mtlkit.datasets.planting.condition import Condition, Severity
from mtlkit.datasets.planting.pairs import adjacent_pairs, opposite_pairs
from mtlkit.datasets.planting.recipe import Recipe
from mtlkit.datasets.planting.scene import Layout

_RATE = Severity(0.2, 0.0, 0.95, sets="noise_rate")
#: Neighbouring bins overlap.
_OVERLAP = Layout(deviation=0.75)

#: The conditions by name.
CONDITIONS: dict[str, Condition] = {
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
    "class_overlap": Condition(
        "data",
        ("class_overlap",),
        allowed=("ambiguity",),
        layout=_OVERLAP,
        severity=Severity(0.75, 0.3, 3.0, sets="deviation"),
        pairs=adjacent_pairs,
    ),
    "no_signal": Condition("data", ("no_signal",), steps=(label_steps.permute_orientation,)),
    "imbalance_hurts": Condition(
        "data",
        ("imbalance",),
        allowed=("class_overlap", "ambiguity", "too_little_data"),
        layout=Layout(zipf=True, deviation=0.75),
        recipe=Recipe(spatial="flatten"),
        pairs=adjacent_pairs,
    ),
    "imbalance_harmless": Condition("healthy", layout=Layout(zipf=True, spread=0.2)),
    "too_little_data": Condition("data", ("too_little_data",), max_samples=600),
    "imbalance_and_little": Condition(
        "data",
        ("imbalance", "too_little_data"),
        undetermined=("imbalance", "too_little_data"),
        allowed=("class_overlap", "ambiguity"),
        layout=Layout(zipf=True, deviation=0.75),
        recipe=Recipe(spatial="flatten"),
        max_samples=600,
    ),
}
