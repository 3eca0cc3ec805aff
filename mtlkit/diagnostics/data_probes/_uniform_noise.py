"""Labels that are wrong by chance."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import share_interval
from mtlkit.diagnostics.data_probes._suspects import no_suspects, suspects
from mtlkit.diagnostics.details import UniformNoiseDetails
from mtlkit.diagnostics.evidence import Evidence, Status
from mtlkit.diagnostics.thresholds import (
    MOST_WRONG,
    NOISE_STAYS,
    NOISE_STAYS_LEARNING,
    RATE_RISES,
    SEVERAL_CLASSES,
    UNIFORM_NOISE,
)
from mtlkit.references._partners import fit_free_floor, ranks
from mtlkit.references.reference import Reference

#: Which labels are counted: those of a share of the samples, of which the reference is surest,
#: that have a rank in the last part of all ranks. The first is hurt least by mistakes of the
#: reference, the last has the most samples.
_LOOKS = ((0.25, 1 / 2), (0.5, 1 / 2), (1.0, 1 / 2), (1.0, 3 / 4), (1.0, 1.0))

#: A rate, its interval and the number of samples that it is of.
_Rate = tuple[float, tuple[float, float], int]


def uniform_noise(
    x: ArrayLike,
    y: ArrayLike,
    *,
    num_classes: int | None = None,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Estimates the share of labels that were replaced by any other class.

    A wrong label has any rank among the scores of its (left-out) sample; a right one has a
    low rank even where the reference is poor or classes look alike. With `K` classes, the share
    of labels in the lower half of the ranks gives the rate,

    `rate = P(rank >= K/2) (K - 1) / (K - K/2)`.

    Only samples of which the reference is sure are counted, and labels that are the usual
    partner of the predicted class are not (nor are they among the `K - K/2`): those are told by
    `structured_noise` and `ambiguity`. Where labels are wrong, more samples and more ranks
    are counted for as long as the rate stays within all intervals so far (Lepski's rule), and does
    not rise, as mistakes of the reference only add to it; so it is as exact as the reference
    allows. Mistakes of the reference become fewer with more samples, and wrong labels do not: a
    rate that is higher with half of the samples is left open, and so is one above a half.

    With fewer than 6 classes the floor of such errors of clear samples is taken in its place (see
    `mtlkit.references._partners.fit_free_floor`); with two, of all errors.

    Args:
        x: Images of shape `(samples, height, width, channels)`.
        y: Classes of shape `(samples,)`.
        num_classes: Number of classes.
        reference: The reference of these samples, if there is one already.
        seed: Seed of the reference.

    Returns:
        Evidence `"uniform_noise"`: the effect is the rate, with its Wilson interval. Where it
        is found, `details["suspects"]` lists the labels to check first (see
        `mtlkit.diagnostics.data_probes.suspects`).

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import uniform_noise

        rng = np.random.default_rng(0)
        clean = rng.integers(8, size=800)
        x = rng.random((800, 8, 8, 1), dtype="float32")
        x[np.arange(800), clean] += 1  # the bright row is the class
        wrong = rng.random(800) < 0.3
        y = np.where(wrong, (clean + rng.integers(1, 8, 800)) % 8, clean)
        assert abs(uniform_noise(x, y).effect - 0.3) < 0.1
        ```
    """
    start = time.process_time()
    reference = reference or Reference(x, y, num_classes, seed)
    rate, interval, samples = _rate(reference)
    half, _, _ = _rate(reference.smaller)
    low, high = interval
    status: Status = (
        "found" if low > UNIFORM_NOISE else "absent" if high < UNIFORM_NOISE else "unclear"
    )
    if status == "found" and _are_mistakes(reference, rate, half):
        status = "unclear"
    found = status == "found"
    listed = suspects(reference, rate, ~_is_on_circle(reference)) if found else no_suspects()
    counts = np.bincount(ranks(reference.scores, reference.y), minlength=reference.num_classes)
    text = {
        "found": f"About {100 * rate:.0f} % of the labels are wrong by chance.",
        "absent": f"Labels that are wrong by chance: {100 * rate:.1f} %, too few to matter.",
        "unclear": (
            "How many labels are wrong by chance is open: the reference knows too little."
            if high > MOST_WRONG
            else f"Labels that are wrong by chance may be up to {100 * high:.0f} %."
        ),
    }[status]
    return Evidence(
        "uniform_noise",
        status,
        text,
        rate,
        interval,
        0.0,
        UNIFORM_NOISE,
        unit="share of labels",
        samples=samples,
        details=UniformNoiseDetails(ranks=counts, rate_with_half_the_samples=half, suspects=listed),
        seconds=time.process_time() - start,
    )


def _are_mistakes(reference: Reference, rate: float, half: float) -> bool:
    """Whether a rate may come of mistakes of the reference, which fall with more samples.

    More so of one that learns so fast that it will soon be right more often than the rate allows.
    """
    soon = 2 * reference.accuracy - reference.smaller.accuracy
    stays = NOISE_STAYS_LEARNING if soon > 1 - rate else NOISE_STAYS
    return rate > MOST_WRONG or rate < stays * half


def _rate(reference: Reference) -> _Rate:
    if reference.num_classes < SEVERAL_CLASSES:
        return _floor_of_errors(reference)
    found = _rank_tail(reference, *_LOOKS[0])
    if found[1][0] <= UNIFORM_NOISE:
        return found
    low, high = found[1]
    for look in _LOOKS[1:]:
        other = _rank_tail(reference, *look)
        rise, half_width = other[0] - found[0], (other[1][1] - other[1][0]) / 2
        if not low <= other[0] <= high or rise > RATE_RISES * half_width:
            break
        found = other
        low, high = max(low, other[1][0]), min(high, other[1][1])
    return found


def _rank_tail(reference: Reference, share: float, part: float) -> _Rate:
    """The rate by the labels in the last part of the ranks, of the surest share of samples."""
    scores, classes = reference.scores, reference.num_classes
    first = max(1, math.ceil((1 - part) * classes))
    sure = _is_sure(reference, share)
    tail = ((ranks(scores, reference.y) >= first) & ~_is_partner(reference))[sure]
    left_out = sum((ranks(scores, one.partners) >= first)[sure] for one in reference.pairings)
    counted = float(np.mean(classes - first - left_out))
    factor = (classes - 1) / max(counted, 1e-9)  # few classes may all be partners
    low, high = share_interval(int(tail.sum()), len(tail))
    rate = min(1.0, factor * float(tail.mean()))
    return rate, (min(1.0, factor * low), min(1.0, factor * high)), len(tail)


def _is_partner(reference: Reference) -> NDArray[np.bool_]:
    return np.any([one.partners == reference.y for one in reference.pairings], axis=0)


def _is_on_circle(reference: Reference) -> NDArray[np.bool_]:
    """Labels at a usual distance around a circle: mistakes of the reference, or exchanged."""
    usual = [one.partners == reference.y for one in reference.pairings if one.distance is not None]
    return np.any([np.zeros(len(reference), bool), *usual], axis=0)


def _is_sure(reference: Reference, share: float) -> NDArray[np.bool_]:
    """Samples that are surely of their predicted class or one of its partners."""
    rows = np.arange(len(reference))
    best = reference.scores[rows, reference.predicted]
    mass = best + np.max([reference.scores[rows, one.partners] for one in reference.pairings], 0)
    return mass >= np.quantile(mass, 1 - share)


def _floor_of_errors(reference: Reference) -> _Rate:
    ordered = np.sort(reference.scores, axis=1)
    wrong, factor = ~reference.correct, 1.0
    if reference.num_classes > 2:
        wrong &= ~_is_partner(reference)
        factor = (reference.num_classes - 1) / (reference.num_classes - 2)
    floor = fit_free_floor(ordered[:, -1] - ordered[:, -2], wrong)
    rate, low, high = (min(1.0, factor * one) for one in (floor.rate, floor.low, floor.high))
    return rate, (low, high), len(reference)
