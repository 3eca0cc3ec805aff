"""Would more data help?"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import ArrayLike

from mtlkit.diagnostics.details import AmountDetails
from mtlkit.diagnostics.evidence import Evidence, Status
from mtlkit.diagnostics.thresholds import FAR_FROM_LEARNED, TOO_LITTLE_DATA
from mtlkit.references.reference import Reference

#: Shares of the samples that the reference is fitted to, besides half and all of them.
_SHARES = (1 / 8, 1 / 4)
_BOOTSTRAPS = 500
#: Small sets are halved again and again, up to so often, until so many samples have been used.
_HALVINGS, _USED = 8, 4000


def amount(
    x: ArrayLike,
    y: ArrayLike,
    *,
    num_classes: int | None = None,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Draws the learning curve of the reference, and says what doubling the data would bring.

    The reference is fitted to an eighth, a quarter, either half and all of the samples. Errors
    that follow a power of the number of samples, `e(n) = a n^-b`, fall by the same factor with
    each doubling, so the next gain is `e(n) (1 - e(n) / e(n/2))`.

    Args:
        x: Images of shape `(samples, height, width, channels)`.
        y: Classes of shape `(samples,)`.
        num_classes: Number of classes.
        reference: The reference of these samples, if there is one already.
        seed: Seed of the subsets and of the bootstrap.

    Returns:
        Evidence `"too_little_data"`: the effect is the gain of the next doubling. `"found"` only
        where the reference does not come half of the way from the most frequent class to
        perfection.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import amount

        y = np.arange(400) % 2
        x = np.random.default_rng(0).random((400, 8, 8, 1), dtype="float32")
        x[y == 1, :4] += 1
        assert amount(x, y).status == "absent"  # it is learned from an eighth of them
        ```

    Reference:
        [Mohr et al., LCDB 1.0, 2022](https://link.springer.com/chapter/10.1007/978-3-031-26419-1_1)
    """
    start = time.process_time()
    reference = reference or Reference(x, y, num_classes, seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(reference))
    curves = [_correct(reference, order[: round(share * len(order))]) for share in _SHARES]
    half, whole = _correct_by_half(reference, rng), reference.correct
    counts = [*map(len, curves), len(order) // 2, len(order)]
    scores = [float(curve.mean()) for curve in (*curves, half, whole)]
    # Of the same samples, so that it does not matter which ones are easy.
    drawn = [rng.integers(len(whole), size=len(whole)) for _ in range(_BOOTSTRAPS)]
    gains = [_next_gain(half[rows].mean(), whole[rows].mean()) for rows in drawn]
    gain = _next_gain(half.mean(), whole.mean())
    low, high = (float(end) for end in np.quantile(gains, (0.025, 0.975)))
    constant = np.bincount(reference.y).max() / len(reference)
    way = (scores[-1] - constant) / max(1 - constant, 1e-9)
    status: Status = (
        "found" if low > TOO_LITTLE_DATA else "absent" if high < TOO_LITTLE_DATA else "unclear"
    )
    if status == "found" and way > FAR_FROM_LEARNED:
        status = "unclear"
    spread = [1.96 * np.sqrt(s * (1 - s) / n) for s, n in zip(scores, counts, strict=True)]
    details: AmountDetails = {
        "samples": counts,
        "scores": scores,
        "low": [s - d for s, d in zip(scores, spread, strict=True)],
        "high": [s + d for s, d in zip(scores, spread, strict=True)],
        "doubling_gain": gain,
        "samples_of_class": len(order) / reference.num_classes,
        "way_from_constant": float(way),
    }
    points = round(100 * gain, 1) + 0.0  # no "-0.0"
    text = (
        f"With {counts[-2]:,} samples the reference reaches {scores[-2]:.3f}, with {counts[-1]:,} "
        f"{scores[-1]:.3f}; twice as many would bring about {points:.1f} points."
    )
    return Evidence(
        "too_little_data",
        status,
        text,
        gain,
        (low, high),
        0.0,
        TOO_LITTLE_DATA,
        unit="accuracy",
        samples=len(reference),
        details=details,
        seconds=time.process_time() - start,
    )


def _correct(reference: Reference, rows: np.ndarray) -> np.ndarray:
    return reference.of_rows(rows).correct


def _correct_by_half(reference: Reference, rng: np.random.Generator) -> np.ndarray:
    """How often each sample is right if the reference is fitted to the rest of its half."""
    samples = len(reference)
    most = _HALVINGS if reference.kind.quick else 1
    halvings = int(np.clip(_USED // samples, 1, most))
    right = np.zeros(samples)
    for _ in range(halvings):
        for rows in np.array_split(rng.permutation(samples), 2):
            right[rows] += _correct(reference, rows)
    return right / halvings


def _next_gain(half: float, whole: float) -> float:
    before, now = 1 - half, 1 - whole
    return float(now * (1 - now / before)) if before > 0 else 0.0
