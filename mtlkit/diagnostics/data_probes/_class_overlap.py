"""Neighbouring classes whose images overlap."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import ArrayLike

from mtlkit.diagnostics.data_probes._structured_noise import (
    has_few,
    is_overlap,
    is_overlap_or_flips,
    neighbours,
)
from mtlkit.diagnostics.details import ClassOverlapDetails
from mtlkit.diagnostics.evidence import Evidence, Status
from mtlkit.diagnostics.thresholds import CLASS_OVERLAP, MISTAKES_STAY
from mtlkit.references.reference import Reference


def class_overlap(
    x: ArrayLike,
    y: ArrayLike,
    *,
    num_classes: int | None = None,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Finds classes on a circle whose labels reach over into both neighbours.

    The border between two bins is always blurred, but not their middle: where the images
    are clear, labels are those of the bin. If even there the labels of *both* neighbours
    occur, about as often, and images do not tell them from those of the bin, labels are blurred
    by more than a bin's border. (Where images do tell them, up to a floor, labels were flipped:
    see `structured_noise`. Whether labels or images are blurred, the data do not show.)

    Args:
        x: Images of shape `(samples, height, width, channels)`.
        y: Classes of shape `(samples,)`.
        num_classes: Number of classes.
        reference: The reference of these samples, if there is one already.
        seed: Seed of the reference.

    Returns:
        Evidence `"class_overlap"`: the effect is the share of neighbours' labels among clear
        samples, the mean of both sides.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import class_overlap

        rng = np.random.default_rng(0)
        position = 8 * rng.random(1600)
        x = rng.random((1600, 16, 16, 1), dtype="float32")
        blurred = (2 * (position + rng.normal(0, 0.8, 1600))).astype(int) % 16
        x[np.arange(1600), blurred] += 1  # the bright row is about where the position is
        y = position.astype(int)
        assert class_overlap(x, y).status == "found"
        ```
    """
    start = time.process_time()
    reference = reference or Reference(x, y, num_classes, seed)
    sides = [one.ladder for one in neighbours(reference)]
    if len(sides) < 2:
        text = "Classes are not often confused with both of their neighbours."
        return Evidence("class_overlap", "absent", text, samples=len(reference))
    rate, low, high = (float(value) for value in np.mean([one.clear() for one in sides], axis=0))
    either = is_overlap_or_flips(reference)
    if either:
        status: Status = "unclear"
        text = "Labels of both neighbours are mixed alike: classes overlap, or labels are flipped."
    elif not is_overlap(reference):
        status = "absent"
        text = "Where samples are clear, labels do not reach over into both neighbours."
    elif has_few(reference):
        status = "unclear"
        text = "With so few samples, the reference confuses neighbours that do not overlap, too."
    elif _still_learns(reference):
        status = "unclear"
        text = (
            f"The reference is right {100 * reference.accuracy:.0f} % of the time, with half of "
            f"the samples {100 * reference.smaller.accuracy:.0f} %: it may still learn to tell "
            "neighbours apart."
        )
    else:
        status = "found"
        text = f"Labels of clear samples reach over into both neighbours: {100 * rate:.0f} % each."
    return Evidence(
        "class_overlap",
        status,
        text,
        rate,
        (low, high),
        0.0,
        CLASS_OVERLAP,
        unit="share of labels",
        samples=len(reference),
        details=ClassOverlapDetails(
            ladder=sides[0].steps(), other_side=sides[1].steps(), or_flipped=either
        ),
        seconds=time.process_time() - start,
    )


def _still_learns(reference: Reference) -> bool:
    """Whether the last doubling of the samples took away much of the mistakes."""
    before = 1 - reference.smaller.accuracy
    return 1 - reference.accuracy < MISTAKES_STAY * before
