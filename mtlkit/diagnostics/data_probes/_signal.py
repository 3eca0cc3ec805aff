"""Do the images say anything about the labels?"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.diagnostics.details import SignalDetails
from mtlkit.diagnostics.evidence import Evidence, Status
from mtlkit.references._ridge import Ridge, one_hot
from mtlkit.references.reference import Reference

#: Below it a signal is believed; above it, it is denied only if the control succeeds.
_LEVEL = 0.01
#: The fewest permutations with which the smallest p-value reaches the level.
_LEAST = round(1 / _LEVEL) - 1
#: Strengths of the watermark, in standard deviations of the features it moves.
_WATERMARKS = (0.25, 0.5, 1.0)
#: Features that each class of the watermark moves.
_MARKED = 8


def signal(
    x: ArrayLike,
    y: ArrayLike,
    *,
    num_classes: int | None = None,
    permutations: int = 199,
    reference: Reference | None = None,
    rivals: Sequence[Reference] = (),
    seed: int = 0,
) -> Evidence:
    """Tests whether labels can be predicted from images better than permuted ones.

    The reference is fitted to permuted labels again and again: `p = (1 + #{s_perm >= s}) /
    (1 + permutations)`, with the accuracy on left-out samples for classes, and the share of
    the variance that is explained for values. Where it finds nothing, a control shows whether
    it could have: faint watermarks of the classes, of growing strength, are written into the
    features of samples with permuted labels.

    Args:
        x: Images of shape `(samples, height, width, channels)`.
        y: Labels of shape `(samples,)`.
        num_classes: Number of classes.
        permutations: Number of permutations, 99 at least: with fewer no signal could be found.
        reference: The reference of these samples, if there is one already.
        rivals: Others among which it was the best: of permuted labels, too, the best counts, or
            the choice would look like a signal.
        seed: Seed of permutations and watermarks.

    Returns:
        Evidence `"signal"`. `"found"`: there is a signal. `"absent"`: there is none that the
        reference sees, and the control found its watermark. `"unclear"`: nor did the control.

    Raises:
        ValueError: If there are too few permutations.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import signal

        rng = np.random.default_rng(0)
        x = rng.random((300, 8, 8, 1), dtype="float32")
        assert signal(x, rng.integers(3, size=300), permutations=99).status == "absent"
        ```

    Reference:
        [Ojala and Garriga, Permutation Tests for Studying Classifier Performance,
        2010](https://jmlr.org/papers/v11/ojala10a.html)
    """
    start = time.process_time()
    if permutations < _LEAST:
        raise ValueError(
            f"Expected at least {_LEAST} permutations, to reach the level {_LEVEL}. "
            f"Received: permutations={permutations}"
        )
    reference = reference or Reference(x, y, num_classes, seed)
    rng = np.random.default_rng(seed)
    score = _score(reference.scores, reference.y, reference.classes)
    orders = [rng.permutation(len(reference)) for _ in range(permutations)]
    each = [[_permuted(one, order) for order in orders] for one in (reference, *rivals)]
    null = np.max(each, axis=0)
    p_value = (1 + int((null >= score).sum())) / (1 + permutations)
    details: SignalDetails = {"score": score, "null_scores": null, "chance": float(null.mean())}
    what = "accuracy" if reference.classes else "share of the variance"
    said = f"{what} of left-out samples {score:.3f}, with permuted labels {null.mean():.3f}"
    if p_value <= _LEVEL:
        status: Status = "found"
        text = f"The inputs show something of the labels: {said}."
    else:
        power = _power(reference, rng) if reference.classes else None
        details["watermarks_found"] = power
        status = "absent" if power is None or any(power.values()) else "unclear"
        text = f"No signal was found: {said}."
        if status == "unclear":
            text += " The test is too weak on these samples to deny one."
    return Evidence(
        "signal",
        status,
        text,
        score - float(null.mean()),
        (score - float(null.max()), score - float(null.min())),
        0.0,
        p_value=p_value,
        unit=what,
        samples=len(reference),
        details=details,
        seconds=time.process_time() - start,
    )


def _score(scores: NDArray, y: NDArray, classes: bool) -> float:
    if classes:
        return float((scores.argmax(axis=1) == y).mean())
    values = y.reshape(len(y), -1)
    left = ((scores - values) ** 2).sum() / ((values - values.mean(0)) ** 2).sum()
    return float(max(0.0, 1 - left))  # what is worse than the mean explains nothing


def _permuted(reference: Reference, order: NDArray) -> float:
    scores = reference.predictor.left_out(reference.targets[order], reference.strength)
    return _score(scores, reference.y[order], reference.classes)


def _power(reference: Reference, rng: np.random.Generator) -> dict[str, bool]:
    """Which watermarks the same test finds, where it is known that they are there."""
    permuted = reference.y[rng.permutation(len(reference))]
    targets = one_hot(permuted, reference.num_classes)
    found = {}
    for strength in _WATERMARKS:
        features = reference.features.copy()
        for label in range(reference.num_classes):
            columns = rng.choice(features.shape[1], min(_MARKED, features.shape[1]), replace=False)
            features[np.ix_(permuted == label, columns)] += strength
        ridge = Ridge(features)
        marked = _score(ridge.left_out(targets), permuted, classes=True)
        null = [
            _score(ridge.left_out(targets[order], 1.0), permuted[order], classes=True)
            for order in (rng.permutation(len(reference)) for _ in range(20))
        ]
        found[f"{strength:g}"] = marked > max(null)
    return found
