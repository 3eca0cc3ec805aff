"""Marks that training images have, that held-out ones lack, and that give the label away."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import bootstrap_interval
from mtlkit.diagnostics._checks import checked_inputs
from mtlkit.diagnostics._effects import least_effect, status_of
from mtlkit.diagnostics.data_probes._samples import prepared, timed
from mtlkit.diagnostics.evidence import Evidence, not_tested
from mtlkit.diagnostics.thresholds import ALPHA
from mtlkit.references._ridge import Ridge
from mtlkit.references.reference import Reference

#: Pixels that are looked at as marks, those of the largest counts first.
_MOST = 200


@timed
def marks(
    x: ArrayLike,
    y: ArrayLike,
    x_val: ArrayLike,
    *,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Looks for pixels with values that no held-out image has, and asks if they show the label.

    Of `n` training and `m` held-out images of the same kind, `k` or more training images are
    beyond all held-out ones at a pixel with probability `prod_(i<k) (n - i) / (n + m - i)` (the
    precedence test). Pixels for which that is below 0.01, divided by the number of looks, are
    marks: what is written into one split alone, such as a watermark or a date. If the label
    can be read from which marks an image has, a model learns them instead of the task. Where
    held-out images have such pixels, too, the splits are of other objects or days, and what is
    in one alone need be no mark.

    Args:
        x: Training images.
        y: Their labels, classes.
        x_val: Held-out images.
        reference: A reference of the training images; it knows the number of classes.
        seed: Seed of the interval.

    Returns:
        Evidence `"label_leak"`; the effect is the accuracy from the marks alone, above that
        of a guess.

    Raises:
        ValueError: If images or labels are not valid.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import marks

        rng = np.random.default_rng(0)
        y = rng.integers(4, size=400)
        x, x_val = rng.random((400, 8, 8, 1)), rng.random((200, 8, 8, 1))
        assert marks(x, y, x_val).status == "absent"
        x[np.arange(400), 0, y] = 2.0
        found = marks(x, y, x_val)
        assert found.found and found.details["pixels"][0][0] == 0
        ```

    Reference:
        [Geirhos et al., Shortcut Learning in Deep Neural Networks, 2020](
        https://arxiv.org/abs/2004.07780)
    """
    ready = prepared("label_leak", x, y, reference, seed)
    if isinstance(ready, Evidence):
        return ready
    held = checked_inputs(x_val, "x_val")
    if held.shape[1:] != ready.x.shape[1:]:
        return not_tested("label_leak", "Held-out inputs have another shape than training inputs.")
    train = ready.x.reshape(len(ready), -1)
    held = held.reshape(len(held), -1)
    beyond = _beyond(train, held)
    counts = beyond.sum(axis=0)
    pixels = _not_by_luck(beyond, len(held))
    if not len(pixels):
        text = "No input has values in training that held-out samples lack."
        return Evidence("label_leak", "absent", text, samples=len(ready))
    pixels = pixels[np.argsort(-counts[pixels])][:_MOST]
    constant = float(np.bincount(ready.y).max() / len(ready))
    right = _told_by(beyond[:, pixels], ready, constant)
    gain = float(right.mean()) - constant
    low, high = bootstrap_interval(right, seed=seed)
    interval = (low - constant, high - constant)
    threshold = least_effect(constant, 1.0)
    status = status_of(interval, threshold)
    where = np.stack(np.unravel_index(pixels, ready.x.shape[1:]), axis=1)
    text = (
        f"{len(pixels)} inputs have values that only training samples have; from them alone "
        f"{100 * float(right.mean()):.0f} % of the labels are predicted."
    )
    if status == "found" and len(_not_by_luck(_beyond(held, train), len(train))):
        # Other objects, devices or days, which differ in more than what was written into one.
        status = "unclear"
        text += " But held-out samples, too, have values that no training sample has."
    return Evidence(
        "label_leak",
        status,
        text,
        gain,
        interval,
        null=0.0,
        threshold=threshold,
        unit="accuracy",
        samples=len(ready),
        details={"pixels": where, "images": counts[pixels]},
    )


def _beyond(values: NDArray, others: NDArray) -> NDArray[np.bool_]:
    """Which values are beyond all of the others at their pixel."""
    return (values > others.max(axis=0)) | (values < others.min(axis=0))


def _not_by_luck(beyond: NDArray[np.bool_], others: int) -> NDArray[np.intp]:
    """The pixels at which more images are beyond the others than can be luck."""
    images, pixels = beyond.shape
    return np.flatnonzero(beyond.sum(axis=0) >= _fewest(images, others, pixels))


def _fewest(train: int, held: int, pixels: int) -> int:
    """How many training images beyond all held-out ones cannot be luck."""
    level = np.log(ALPHA / (2 * pixels))
    steps = np.arange(train)
    logs = np.cumsum(np.log(train - steps) - np.log(train + held - steps))
    enough = np.flatnonzero(logs <= level)
    # Both ends of the range are counted together: each may have as many by luck.
    return 2 * (int(enough[0]) + 1) if len(enough) else train + 1


def _told_by(
    marked: NDArray[np.bool_], reference: Reference, constant: float
) -> NDArray[np.float64]:
    """Which left-out samples are right by the marks alone; one without counts as the constant."""
    left_out = Ridge(marked.astype("float32")).left_out(reference.targets)
    right = (left_out.argmax(axis=1) == reference.y).astype("float64")
    return np.where(marked.any(axis=1), right, constant)
