"""Labels that were exchanged between two classes, while most other classes have theirs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.diagnostics.thresholds import (
    AS_MANY,
    HALF_EXCHANGED,
    HARDLY_PREDICTED,
    LEAST_OF_PAIR,
    STANDS_OUT,
)
from mtlkit.references._partners import Floor, ladder_of
from mtlkit.references.reference import Reference


@dataclass(frozen=True)
class Exchanged:
    """A class whose labels were exchanged for another one's.

    Attributes:
        label: The class.
        partner: The class whose label many of its samples have.
        floor: How many, even where images are clear, less those that are wrong by chance.
        share: The share of the samples that are of the class.
        is_known: Whether the partner is predicted, too.
    """

    label: int
    partner: int
    floor: Floor
    share: float
    is_known: bool = True

    @property
    def told(self) -> bool:
        """Whether inputs tell the two classes apart, so that the floor is known."""
        return self.is_known and self.floor.high < HALF_EXCHANGED


def exchanged_classes(reference: Reference, least: int = LEAST_OF_PAIR) -> list[Exchanged]:
    """Finds classes of which many labels are those of one other class.

    Args:
        reference: The reference of the samples.
        least: Samples of a class to read a floor from, at least.

    Returns:
        The classes that stand out; none where more than half of all do.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics import Reference
        from mtlkit.diagnostics.data_probes import exchanged_classes

        rng = np.random.default_rng(0)
        clean = rng.integers(8, size=4000)
        x = rng.random((4000, 8, 8, 1), dtype="float32")
        x[np.arange(4000), clean] += 1  # the bright row is the class
        swapped = np.where(clean == 2, 6, np.where(clean == 6, 2, clean))
        y = np.where(rng.random(4000) < 0.25, swapped, clean)
        found = exchanged_classes(Reference(x, y))
        assert (2, 6) in {(one.label, one.partner) for one in found}
        ```
    """
    asked = (_look(reference, label, least) for label in range(reference.num_classes))
    looks = [one for one in asked if one is not None]
    found = [one for one in looks if one.floor.rate >= STANDS_OUT]
    return found if len(found) <= reference.num_classes / 2 else []


def of_all_labels(classes: list[Exchanged]) -> Floor:
    """The share of all labels that were exchanged in these classes.

    Errors of the classes are independent, so their squares add up.
    """
    rate = sum(one.share * one.floor.rate for one in classes)
    below = [one.share * (one.floor.rate - one.floor.low) for one in classes]
    above = [one.share * (one.floor.high - one.floor.rate) for one in classes]
    return Floor(rate, max(0.0, rate - math.hypot(*below)), rate + math.hypot(*above), math.nan)


def _look(reference: Reference, label: int, least: int) -> Exchanged | None:
    """A class and its most frequent other label, if both halves of its samples agree on it."""
    mine = np.flatnonzero(reference.predicted == label)
    partners = {_most_frequent_other(reference, mine[part::2], label) for part in (0, 1)}
    partner = partners.pop()
    if partners or partner < 0 or not _as_many(reference, [label, partner]):
        return None
    ladder = ladder_of(reference.scores[mine], reference.y[mine], np.full(len(mine), partner))
    if int((ladder.own | ladder.partner).sum()) < least:
        return None
    chance = ladder.by_chance(reference.num_classes)
    rate, low, high = (
        max(0.0, end - chance) for end in (ladder.floor.rate, ladder.floor.low, ladder.floor.high)
    )
    floor = Floor(rate, low, high, ladder.floor.slope)
    is_known = bool(known_classes(reference)[partner])
    return Exchanged(label, partner, floor, len(mine) / len(reference), is_known)


def known_classes(reference: Reference) -> NDArray[np.bool_]:
    """Which classes are predicted about as often as they are labels, or at least now and then."""
    counts = [
        np.bincount(one, minlength=reference.num_classes)
        for one in (reference.predicted, reference.y)
    ]
    return np.asarray(counts[0] >= HARDLY_PREDICTED * counts[1])


def _as_many(reference: Reference, pair: list[int]) -> bool:
    """Whether two classes are predicted about as often as they are the label."""
    predictions, labels = np.isin(reference.predicted, pair).sum(), np.isin(reference.y, pair).sum()
    return bool(AS_MANY[0] * labels <= predictions <= AS_MANY[1] * labels)


def _most_frequent_other(reference: Reference, rows: NDArray[np.integer], label: int) -> int:
    counts = np.bincount(reference.y[rows], minlength=reference.num_classes)
    counts[label] = 0
    return int(counts.argmax()) if counts.any() else -1
