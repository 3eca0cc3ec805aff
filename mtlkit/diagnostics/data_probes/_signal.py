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

#: Below the first a signal is believed; above the second it is denied, if the control succeeds.
_LEVEL, _DOUBT = 0.01, 0.05
#: The fewest permutations with which the smallest p-value reaches the level.
_LEAST = round(1 / _LEVEL) - 1
#: Strengths of the watermark, in standard deviations of the features it moves.
_WATERMARKS = (0.25, 0.5, 1.0)
#: Shares of the variance of values that are planted.
_SHARES = (0.05, 0.1, 0.25)
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
    (1 + permutations)`, on left-out samples. For values `s` is the share of the variance that is
    explained, of the values and of their ranks, which no outlier outweighs. For classes it is the
    accuracy, and that share of one-hot labels: where most labels are of one class, a weak signal
    changes no prediction, but it changes how sure each is. The statistic counts that is the most
    standard deviations above its mean over permutations. Where nothing is found, a control shows
    whether it could have been: faint watermarks of the classes, of growing strength, are written
    into the features of samples with permuted labels; permuted values get a share of variance.

    Args:
        x: Images of shape `(samples, height, width, channels)`.
        y: Labels of shape `(samples,)`.
        num_classes: Number of classes.
        permutations: Number of permutations, 99 at least: with fewer no signal could be found.
        reference: The reference of these samples, if there is one already.
        rivals: Others among which it was the best. They are asked, too, with the labels as they
            are and with permuted ones.
        seed: Seed of permutations and watermarks.

    Returns:
        Evidence `"signal"`. `"found"`: there is a signal. `"absent"`: there is none that the
        reference sees, and the control found its watermark. `"unclear"`: nor did the control, or
        luck would bring this much about only once or a few times in a hundred.

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
    panel = (reference, *rivals)
    # By order of the labels, first as they are, by reference and by statistic.
    found = np.array([[_statistics(one, order) for one in panel] for order in (None, *orders)])
    spread = np.maximum(found.std(axis=0), 1e-12)
    most = ((found - found.mean(axis=0)) / spread).max(axis=(1, 2))
    p_value = float((most >= most[0]).sum()) / (1 + permutations)
    null = found[1:, :, 0].max(axis=1)
    if not reference.classes:
        null = np.maximum(null, 0.0)  # what is worse than the mean explains nothing
    details: SignalDetails = {"score": score, "null_scores": null, "chance": float(null.mean())}
    what = "accuracy" if reference.classes else "share of the variance"
    said = f"{what} of left-out samples {score:.3f}, with permuted labels {null.mean():.3f}"
    if p_value <= _LEVEL:
        status: Status = "found"
        text = f"The inputs show something of the labels: {said}."
    else:
        power = (_power if reference.classes else _power_of_values)(reference, rng)
        details["watermarks_found"] = power
        has_power = any(power.values())
        status = "absent" if has_power and p_value > _DOUBT else "unclear"
        text = f"No signal was found: {said}."
        if not has_power:
            text += " The test is too weak on these samples to deny one."
        elif status == "unclear":
            text += f" There may be a weak one (p = {p_value:.2f})."
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
    return max(0.0, _explained(scores, y))  # what is worse than the mean explains nothing


def _explained(scores: NDArray, values: NDArray) -> float:
    """The share of the variance that is explained."""
    values = values.reshape(len(values), -1)
    spread = max(float(((values - values.mean(0)) ** 2).sum()), 1e-12)
    return 1 - float(((scores - values) ** 2).sum()) / spread


def _statistics(reference: Reference, order: NDArray | None) -> list[float]:
    """The score with labels in this order, and for classes the share of the variance, too."""
    y, targets, scores = reference.y, reference.targets, reference.scores
    if order is not None:
        y, targets = y[order], targets[order]
        scores = reference.predictor.left_out(targets, reference.strength)
    if reference.classes:
        return [_score(scores, y, classes=True), _explained(scores, targets)]
    by_rank = _ranked(targets)
    ranked = reference.predictor.left_out(by_rank, reference.strength)
    return [_explained(scores, targets), _explained(ranked, by_rank)]


def _ranked(values: NDArray) -> NDArray[np.float32]:
    """The values by their ranks, as those of a normal distribution: no outlier outweighs others."""
    from scipy.stats import norm, rankdata

    return norm.ppf((rankdata(values, axis=0) - 0.5) / len(values)).astype("float32")


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


def _power_of_values(reference: Reference, rng: np.random.Generator) -> dict[str, bool]:
    """Which shares of the variance the same test finds, where they are known to be shown."""
    permuted = _ranked(reference.targets[rng.permutation(len(reference))])
    direction = rng.normal(size=(reference.features.shape[1], permuted.shape[1]))
    shown = _ranked(reference.features @ direction)
    found = {}
    for share in _SHARES:
        values = np.sqrt(1 - share) * permuted + np.sqrt(share) * shown
        ridge = Ridge(reference.features)
        strength = ridge.best_strength(values)
        seen = _explained(ridge.left_out(values, strength), values)
        null = [
            _explained(ridge.left_out(values[order], strength), values[order])
            for order in (rng.permutation(len(reference)) for _ in range(20))
        ]
        found[f"{share:g}"] = seen > max(null)
    return found
