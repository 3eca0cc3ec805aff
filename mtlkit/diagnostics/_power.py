"""Would an effect have been seen? It is planted in the user's own labels to find out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mtlkit.diagnostics.causes import BY_CAUSE
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.references.reference import Reference

#: Plants an effect of a size in labels: of classes, their number, the size and a generator.
Plant = Callable[[NDArray, int, float, np.random.Generator], NDArray]


def with_power(
    found: Evidence,
    probe: Callable[[Reference], Evidence],
    reference: Reference,
    seed: int,
    plant: Plant | None = None,
) -> Evidence:
    """Leaves "absent" to effects that would have been seen.

    An effect as large as the threshold is planted in the labels. If the probe does not notice, it
    has seen nothing of the user's labels either.

    Args:
        found: What the probe found.
        probe: The probe, of a reference.
        reference: The reference of the user's labels.
        seed: Seed of what is planted.
        plant: Plants the effect. `None`: as `PLANTS` names it, if it does.

    Returns:
        The evidence, `"not_tested"` where the planted effect was not noticed.
    """
    plant = plant or PLANTS.get(found.name)
    if found.status != "absent" or plant is None or found.threshold is None:
        return found
    rng = np.random.default_rng(seed)
    size = max(found.threshold, 1 / len(reference))
    labels = plant(reference.y, reference.num_classes, size, rng)
    seen = probe(reference.with_labels(labels, reference.num_classes))
    if seen.status != "absent":
        return replace(found, details={**found.details, "planted": seen.effect})
    text = (
        f"As a test, an effect of {size:.2g} was added to a copy of these labels, and was not "
        "noticed; so one that is there may go unnoticed, too."
    )
    details = {**found.details, "planted": seen.effect, "without_power": True}
    return replace(found, status="not_tested", text=text, details=details)


def within_interval(found: Evidence) -> Evidence:
    """Leaves "absent" to causes whose interval ends below the threshold, if there are both."""
    if found.status != "absent" or found.name not in BY_CAUSE:
        return found
    if found.interval is None or found.threshold is None:
        return found
    high = found.interval[1]
    if high < found.threshold or "planted" in found.details:
        return found
    text = f"{found.text[:-1]}; up to {high:.2g} would not have been noticed."
    details = {**found.details, "without_power": True}
    return replace(found, status="not_tested", text=text, details=details)


def _replaced(y: NDArray, classes: int, size: float, rng: np.random.Generator) -> NDArray:
    """A share of the labels becomes any other class."""
    wrong = rng.random(len(y)) < size
    return np.where(wrong, (y + rng.integers(1, classes, len(y))) % classes, y)


def _exchanged(y: NDArray, classes: int, size: float, rng: np.random.Generator) -> NDArray:
    """A share of the labels of each class becomes that of one certain other."""
    order = rng.permutation(classes)
    partner = np.empty(classes, "int64")
    partner[order] = np.roll(order, 1)
    return np.where(rng.random(len(y)) < size, partner[y], y)


def mixed_by(lot: NDArray[np.int64]) -> Plant:
    """Plants a lot between two classes, in so many pairs that knowing it gains the size."""

    def mixed(y: NDArray, classes: int, size: float, rng: np.random.Generator) -> NDArray:
        planted, left = y.copy(), 2 * size * len(y)
        order = rng.permutation(classes)
        for pair in zip(order[::2], order[1::2], strict=False):
            rows = np.flatnonzero(np.isin(y, pair))
            planted[rows] = np.asarray(pair)[lot[rows]]
            left -= len(rows)
            if left <= 0:
                break
        return planted

    return mixed


def _mixed(y: NDArray, classes: int, size: float, rng: np.random.Generator) -> NDArray:
    """Pairs of classes get each other's labels by lot, so many that merging them gains the size."""
    return mixed_by(rng.integers(2, size=len(y)))(y, classes, size, rng)


#: What is planted, by the name of the evidence.
PLANTS: dict[str, Plant] = {
    "uniform_noise": _replaced,
    "structured_noise": _exchanged,
    "ambiguity": _mixed,
}
