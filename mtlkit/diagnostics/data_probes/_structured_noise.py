"""Labels that were exchanged for one certain other class."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.diagnostics.data_probes._single_pairs import (
    exchanged_classes,
    known_classes,
    of_all_labels,
)
from mtlkit.diagnostics.data_probes._suspects import no_suspects, suspects
from mtlkit.diagnostics.evidence import Evidence, Status
from mtlkit.diagnostics.thresholds import (
    BOTH_SIDES,
    EXCHANGE_STAYS,
    FEW_OF_CLASS,
    HALF_EXCHANGED,
    LEAST_OF_LADDER,
    LEAST_OF_PAIR,
    STRUCTURED_NOISE,
    TOLD_APART,
    UNTOLD,
)
from mtlkit.references._partners import Floor, Pairing
from mtlkit.references.reference import Reference


def structured_noise(
    x: ArrayLike,
    y: ArrayLike,
    *,
    num_classes: int | None = None,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Estimates the share of labels that were exchanged for the partner of their class.

    Of the samples that are surely of a class or its partner, some are hard to tell apart, and
    their labels are mixed; those of clear samples are not, unless labels are wrong. So the rate
    is the floor of the curve of mixed labels against clarity (see
    `mtlkit.references._partners.fit_floor`), less what labels that are wrong by chance
    contribute, of which each class has as many. Where that finds nothing, each class is looked at
    by itself, as labels of a few classes alone may have been exchanged (see
    `exchanged_classes`). Where both neighbours on a circle of classes have a floor, classes
    overlap: see `class_overlap`; of a low one, either may be so, and the status is `"unclear"`.
    Where images do not tell partners apart at all, the rate is unknown, and the status
    `"unclear"`: see `ambiguity`.

    Args:
        x: Images of shape `(samples, height, width, channels)`.
        y: Classes of shape `(samples,)`.
        num_classes: Number of classes.
        reference: The reference of these samples, if there is one already.
        seed: Seed of the reference.

    Returns:
        Evidence `"structured_noise"`: the effect is the rate. Where it is found,
        `details["suspects"]` lists the labels to check first, all of them the partner of what
        the sample looks like (see `mtlkit.diagnostics.data_probes.suspects`).

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import structured_noise

        rng = np.random.default_rng(0)
        clean = rng.integers(8, size=1200)
        x = rng.random((1200, 8, 8, 1), dtype="float32")
        x[np.arange(1200), clean] += 1  # the bright row is the class
        y = np.where(rng.random(1200) < 0.2, (clean + 4) % 8, clean)
        assert structured_noise(x, y).status == "found"
        ```
    """
    start = time.process_time()
    reference = reference or Reference(x, y, num_classes, seed)
    pairing = _pairing(reference)
    floor, either = beyond_chance(pairing, reference.num_classes), is_overlap_or_flips(reference)
    status: Status
    if reference.num_classes < 3:
        status, text = "absent", "Of two classes, exchanged labels are those wrong by chance."
    elif is_overlap(reference):
        status, text = "absent", "Labels of both neighbours are mixed alike: classes overlap."
    elif either:
        status, text = "unclear", "Labels of both neighbours are mixed alike: flipped, or overlap."
    elif floor.high >= HALF_EXCHANGED:
        status, text = (
            "unclear",
            "The reference does not tell the partners apart, so their rate is open.",
        )
    elif floor.low > STRUCTURED_NOISE and not is_reliable(reference, pairing):
        status, text = "unclear", "With so few samples, mistakes of the reference look the same."
    elif floor.low > STRUCTURED_NOISE and not _are_known(reference, pairing):
        status, text = (
            "unclear",
            "Some classes are hardly ever predicted: their labels were exchanged, or inputs do not "
            "show what sets them apart.",
        )
    elif floor.low > STRUCTURED_NOISE:
        status = "found"
        text = (
            f"About {100 * floor.rate:.0f} % of the labels were exchanged for {_named(pairing)}, "
            "even where samples are clear."
        )
    elif floor.high < STRUCTURED_NOISE or floor.rate < STRUCTURED_NOISE / 2:
        status = "absent"
        text = "Clear samples have the right labels: none were exchanged in pairs."
    else:
        status = "unclear"
        text = (
            f"Up to {100 * floor.high:.0f} % of the labels may be exchanged for {_named(pairing)}."
        )
    if not either and (
        status == "absent" or (status == "unclear" and floor.rate < STRUCTURED_NOISE)
    ):
        singles = _of_single_pairs(reference, start)
        if singles is not None:
            return singles
    return _evidence(
        reference,
        status,
        text,
        floor,
        pairing.partners == reference.y,
        len(pairing.ladder.own),
        start,
        ladder=pairing.ladder.steps(),
        distance=pairing.distance,
        neighbours=pairing.distance in (1, reference.num_classes - 1),
        pairs=pairs_of(reference, pairing),
    )


def _evidence(
    reference: Reference,
    status: Status,
    text: str,
    floor: Floor,
    exchanged: NDArray[np.bool_],
    samples: int,
    start: float,
    **details: Any,
) -> Evidence:
    """The evidence; where labels were exchanged, with those to check first."""
    listed = suspects(reference, floor.rate, exchanged) if status == "found" else no_suspects()
    return Evidence(
        "structured_noise",
        status,
        text,
        floor.rate,
        (floor.low, floor.high),
        0.0,
        STRUCTURED_NOISE,
        unit="share of labels",
        samples=samples,
        details={**details, "suspects": listed},
        seconds=time.process_time() - start,
    )


def _of_single_pairs(reference: Reference, start: float) -> Evidence | None:
    """Evidence of exchanged labels in a few of the classes, where they make up enough of all."""
    if reference.num_classes < 3 or has_few(reference) or is_overlap(reference):
        return None
    classes = exchanged_classes(reference)
    told = [one for one in classes if one.told]
    floor, most = of_all_labels(told), of_all_labels(classes)
    if most.rate <= STRUCTURED_NOISE:
        return None
    status: Status = (
        "found" if floor.low > STRUCTURED_NOISE and _stay(reference, floor.rate) else "unclear"
    )
    if status == "unclear":
        floor = replace(most, low=floor.low)
    names = ", ".join(f"{one.label} for {one.partner}" for one in classes)
    text = {
        "found": f"About {100 * floor.rate:.0f} % of the labels were exchanged, {names}, even "
        "where samples are clear.",
        "unclear": f"Up to {100 * floor.high:.0f} % of the labels may be exchanged: {names}.",
    }[status]
    partners = np.full(reference.num_classes, -1)
    partners[[one.label for one in classes]] = [one.partner for one in classes]
    pairs = [[one.label, one.partner, one.floor.rate] for one in classes]
    return _evidence(
        reference,
        status,
        text,
        floor,
        partners[reference.predicted] == reference.y,
        len(reference),
        start,
        distance=None,
        neighbours=False,
        single_pairs=True,
        pairs=sorted(pairs, key=lambda row: -row[2]),
    )


def _stay(reference: Reference, rate: float) -> bool:
    """Whether as many labels are exchanged as with half of the samples."""
    before = exchanged_classes(reference.smaller, LEAST_OF_PAIR // 2)
    return rate >= EXCHANGE_STAYS * of_all_labels(before).rate


def _pairing(reference: Reference) -> Pairing:
    """The pairing with the highest floor: at one distance, or else of each class its own.

    Some distances are frequent by accident, so each class is asked for its own partner, too,
    where none of them shows exchanged labels.
    """
    pairing = max(reference.pairings, key=lambda one: one.ladder.floor.low)
    floor = pairing.ladder.floor
    if pairing.distance is None or floor.low > STRUCTURED_NOISE or floor.high >= HALF_EXCHANGED:
        return pairing
    own = reference.pairing_by_class
    return own if own.ladder.floor.low > STRUCTURED_NOISE else pairing


def beyond_chance(pairing: Pairing, num_classes: int) -> Floor:
    """The floor of a pairing, without the labels that are wrong by chance."""
    floor, chance = pairing.ladder.floor, pairing.ladder.by_chance(num_classes)
    if floor.high >= HALF_EXCHANGED:
        return floor  # twins: there is no floor to correct
    rate, low, high = (max(0.0, one - chance) for one in (floor.rate, floor.low, floor.high))
    return Floor(rate, low, high, floor.slope)


def is_reliable(reference: Reference, pairing: Pairing) -> bool:
    """Whether a floor is read from enough samples, and does not fall with their number."""
    smaller = reference.smaller
    ways = [smaller.pairing_by_class] if pairing.distance is None else smaller.pairings
    alike = [one for one in ways if one.distance == pairing.distance]
    before = alike[0].ladder.floor.rate if alike else 0.0
    enough = len(pairing.ladder.own) >= LEAST_OF_LADDER
    return (
        enough and not has_few(reference) and pairing.ladder.floor.rate >= EXCHANGE_STAYS * before
    )


def _are_known(reference: Reference, pairing: Pairing) -> bool:
    """Whether most labels that look exchanged are of classes that are predicted, too."""
    exchanged = reference.y[pairing.partners == reference.y]
    return not len(exchanged) or bool(known_classes(reference)[exchanged].mean() > 0.5)


def has_few(reference: Reference) -> bool:
    """Whether classes have so few samples that the reference confuses what is clear."""
    return len(reference) < FEW_OF_CLASS * reference.num_classes


def is_overlap(reference: Reference) -> bool:
    """Whether clear samples have labels of both neighbours around the circle, about alike."""
    return _mixed_alike(reference) >= UNTOLD


def is_overlap_or_flips(reference: Reference) -> bool:
    """Whether they have, but images may tell neighbours apart: then labels may be flipped."""
    return TOLD_APART <= _mixed_alike(reference) < UNTOLD


def _mixed_alike(reference: Reference) -> float:
    """Where labels of both neighbours are mixed alike, the highest floor that both sides allow."""
    sides = neighbours(reference)
    if len(sides) < 2 or len(sides[0].ladder.own) < LEAST_OF_LADDER:
        return 0.0
    rates, lows, _ = zip(*(one.ladder.clear() for one in sides), strict=True)
    before = [one.ladder.clear()[0] for one in neighbours(reference.smaller)]
    stay = not before or np.mean(rates) >= EXCHANGE_STAYS * np.mean(before)
    if stay and min(lows) > STRUCTURED_NOISE and min(rates) >= BOTH_SIDES * max(rates):
        return min(one.ladder.floor.high for one in sides)
    return 0.0


def neighbours(reference: Reference) -> list[Pairing]:
    """The pairings of each class with the next one, and with the one before."""
    return [one for one in reference.pairings if one.distance in (1, reference.num_classes - 1)]


def pairs_of(reference: Reference, pairing: Pairing, most: int = 20) -> list[list[float]]:
    """The pairs of classes, with the share of the partner's labels, the largest first."""
    rows = []
    for label in range(reference.num_classes):
        own = reference.predicted == label
        if own.any():
            partner = int(pairing.partners[own][0])
            share = float((reference.y[own] == pairing.partners[own]).mean())
            rows.append([label, partner, share])
    return sorted(rows, key=lambda row: -row[2])[:most]


def _named(pairing: Pairing) -> str:
    if pairing.distance is None:
        return "one other class"
    return f"the class {pairing.distance} further around the circle"
