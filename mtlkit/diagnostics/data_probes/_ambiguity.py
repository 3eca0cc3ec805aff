"""Images that two classes share."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import ArrayLike

from mtlkit.diagnostics.data_probes._structured_noise import is_overlap, pairs_of
from mtlkit.diagnostics.details import AmbiguityDetails
from mtlkit.diagnostics.evidence import Evidence, Status
from mtlkit.diagnostics.thresholds import AMBIGUITY, CONFUSION_STAYS, TWINS_HALF, TWINS_MIXED
from mtlkit.references._partners import Pairing
from mtlkit.references.reference import Reference


def ambiguity(
    x: ArrayLike,
    y: ArrayLike,
    *,
    num_classes: int | None = None,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Finds classes that images do not tell apart, all of them or some.

    The effect is what could be gained if a class and its partner were one: the share of
    samples whose label is the partner of the predicted class. It is ambiguity where labels
    are mixed even for the samples that the reference tells apart best, or where they are clear
    for some images and stay mixed for others, however many samples there are. Neighbours on a
    circle are left to `class_overlap`.

    Labels flipped half of the time look the same as twins. Then `details["or_flipped"]` is
    true: the labels cannot show it, the images may (see `symmetry`).

    Args:
        x: Images of shape `(samples, height, width, channels)`.
        y: Classes of shape `(samples,)`.
        num_classes: Number of classes.
        reference: The reference of these samples, if there is one already.
        seed: Seed of the reference.

    Returns:
        Evidence `"ambiguity"`.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import ambiguity

        rng = np.random.default_rng(0)
        y = rng.integers(8, size=1200)
        x = rng.random((1200, 8, 8, 1), dtype="float32")
        x[np.arange(1200), y % 4] += 1  # classes 0 and 4 look alike, and so on
        assert ambiguity(x, y).status == "found"
        ```
    """
    start = time.process_time()
    reference = reference or Reference(x, y, num_classes, seed)
    ways = [one for one in reference.pairings if one.distance not in _neighbours(reference)]
    if not ways:
        text = "Classes are confused with their neighbours alone."
        return Evidence("ambiguity", "absent", text, samples=len(reference))
    pairing = max(ways, key=lambda one: _gain(reference, one))
    gain = _gain(reference, pairing)
    half = 1.96 * np.sqrt(gain * (1 - gain) / len(reference))
    twins = _twins(pairing)
    before = _gain_with_half(reference, pairing)
    floor = pairing.ladder.floor
    if gain - half < AMBIGUITY or is_overlap(reference):
        status: Status = "absent" if gain + half < AMBIGUITY or is_overlap(reference) else "unclear"
    elif twins:
        status = "found"
    elif floor.low > AMBIGUITY:
        status = "absent"  # flipped labels
    else:
        partial = pairing.distance is not None and gain >= CONFUSION_STAYS * before
        status = "found" if partial else "unclear"
    text = {
        "found": f"Classes look the same: merging them would gain {100 * gain:.0f} points.",
        "absent": f"No two classes look the same (merging: {100 * gain:.1f} points).",
        "unclear": f"Some classes are confused ({100 * gain:.0f} points), but less with more data.",
    }[status]
    return Evidence(
        "ambiguity",
        status,
        text,
        gain,
        (gain - half, gain + half),
        0.0,
        AMBIGUITY,
        unit="accuracy",
        samples=len(reference),
        details=AmbiguityDetails(
            ladder=pairing.ladder.steps(),
            distance=pairing.distance,
            pairs=pairs_of(reference, pairing),
            or_flipped=twins,
            gain_with_half_the_samples=before,
        ),
        seconds=time.process_time() - start,
    )


def _neighbours(reference: Reference) -> tuple[int, int]:
    return 1, reference.num_classes - 1


def _gain(reference: Reference, pairing: Pairing) -> float:
    return float((pairing.partners == reference.y).mean())


def _gain_with_half(reference: Reference, pairing: Pairing) -> float:
    smaller = reference.smaller
    alike = [one for one in smaller.pairings if one.distance == pairing.distance]
    return _gain(smaller, alike[0]) if alike else _gain(reference, pairing)


def _twins(pairing: Pairing) -> bool:
    """Whether labels are mixed even where the reference tells partners apart best."""
    steps = pairing.ladder.steps()
    mixed = steps["partner"][0] / max(steps["partner"][0] + steps["self"][0], 1e-9)
    return pairing.ladder.floor.high >= TWINS_HALF and mixed > TWINS_MIXED
