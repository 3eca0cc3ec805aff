"""Whether the resolution of the images limits a task."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import bootstrap_interval, p_better
from mtlkit.diagnostics._checks import checked_inputs
from mtlkit.diagnostics._effects import least_effect, status_of
from mtlkit.diagnostics.data_probes._samples import prepared, timed
from mtlkit.diagnostics.details import ResolutionDetails
from mtlkit.diagnostics.evidence import Evidence, Status
from mtlkit.diagnostics.thresholds import ALPHA, EMPTY_OCTAVE, REPEATED_PIXELS
from mtlkit.references._patches import patch_features
from mtlkit.references._reduced import at_most, averaging, resized, spreading
from mtlkit.references._ridge import Ridge
from mtlkit.references.reference import Reference

#: Images that are compared; resolutions need features of their own, which take most of the time.
_SAMPLES = 3000
#: So many pixels are looked at in all, but images of 1,000 samples.
_PIXELS, _FEWEST = 3_000_000, 1000
#: Sides that images are reduced to, as shares of their own; the last one only where there are
#: images of a higher resolution to compare with, since averaging removes noise, too.
_SHARES = (0.25, 0.5, 0.75)
#: Typical patches at each resolution: half of the usual number, as there are several.
_PATCHES = 48
#: Images whose detail is looked at, and the least side that has octaves.
_LOOKED_AT, _FEWEST_PIXELS = 300, 16
#: Higher resolutions are averaged down to so many pixels a side, to bound the work.
_MOST_PIXELS = 64


@timed
def resolution(
    x: ArrayLike,
    y: ArrayLike,
    *,
    x_high: ArrayLike | None = None,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Compares what the reference makes of the images at several resolutions.

    Images are averaged down to a quarter, half and three quarters of their side, and brought
    back. If halving the side costs nothing, resolution does not limit the task. Images that were
    enlarged hold no detail as fine as their pixels; of them the side that they came from is halved
    (see `detail_share`). The reverse
    does not hold: that details down to the last pixel are used does not say that more of them
    would help. Only images of genuinely higher resolution can show it.

    Args:
        x: Images.
        y: Labels, classes or values.
        x_high: The same images at a higher resolution. `None`: there are none.
        reference: A reference of the same images; it knows the number of classes.
        seed: Seed of the features, of the samples that are compared, and of the interval.

    Returns:
        Evidence `"resolution"`; the effect is the gain of accuracy (of R² for values) by the
        higher resolution; without that, what is lost by halving. `"found"` only if the higher
        resolution is better; without it `"absent"` or `"unclear"`.

    Raises:
        ValueError: If images or labels are not valid.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import resolution

        rng = np.random.default_rng(0)
        y = rng.integers(2, size=400)
        x = 0.1 * rng.random((400, 12, 12, 1), dtype="float32")
        x[y == 1, :6] += 1  # the upper half is bright, which is seen at any resolution
        assert resolution(x, y).status == "absent"
        ```
    """
    ready = prepared("resolution", x, y, reference, seed, classes_only=False)
    if isinstance(ready, Evidence):
        return ready
    high = None if x_high is None else _checked_high(x_high, ready)
    pixels = int(np.prod(ready.x.shape[1:3]))
    samples = min(_SAMPLES, max(_FEWEST, _PIXELS // pixels))
    rows = np.sort(np.random.default_rng(seed).permutation(len(ready))[:samples])
    targets, images = ready.targets[rows], ready.x[rows]
    native = patch_features(images, _PATCHES, seed=seed)
    scores = {"1": _scores(native, targets, ready.classes)}
    finest = detail_share(images)
    half = finest / 2
    for share in sorted({*(_SHARES if high is not None else _SHARES[:2]), half}):
        reduced = patch_features(_reduced_and_back(images, share), _PATCHES, seed=seed)
        scores[f"{share:g}"] = _scores(reduced, targets, ready.classes)
    if high is not None:
        fine = patch_features(at_most(high[rows], _MOST_PIXELS), _PATCHES, seed=seed)
        both = np.concatenate([native, fine], axis=1)
        scores["high"] = _scores(both, targets, ready.classes)
    return _evidence(ready, scores, high, finest, seed)


def detail_share(images: NDArray) -> float:
    """The share of their side that images hold detail of: 1, or 0.5 or 0.25 if they were enlarged.

    Photographs have about as much energy in each octave of spatial frequency; interpolation brings
    hardly any to the last one, and repeated pixels differ from their neighbours in none.

    Args:
        images: Images of shape `(samples, height, width, channels)`.
    """
    share = 1.0
    grey = images[:_LOOKED_AT].astype("float32").mean(axis=3)
    while share > _SHARES[0] and min(grey.shape[1:]) >= _FEWEST_PIXELS and _is_enlarged(grey):
        share /= 2
        rows, columns = (averaging(side, side // 2) for side in grey.shape[1:])
        grey = resized(grey[..., None], rows, columns)[..., 0]
    return share


def _is_enlarged(grey: NDArray) -> bool:
    """Whether the last octave of images of shape `(samples, height, width)` is empty."""
    height, width = (side // 2 * 2 for side in grey.shape[1:])
    blocks = grey[:, :height, :width].reshape(len(grey), height // 2, 2, width // 2, 2)
    spread = float(grey.var(axis=(1, 2)).mean())
    if spread <= 0:
        return False
    if float(blocks.var(axis=(2, 4)).mean()) < REPEATED_PIXELS * spread:
        return True
    window = np.hanning(grey.shape[1])[:, None] * np.hanning(grey.shape[2])
    centred = grey - grey.mean(axis=(1, 2), keepdims=True)
    energy = (np.abs(np.fft.fft2(centred * window)) ** 2).mean(axis=0)
    rows, columns = (2 * np.fft.fftfreq(side) for side in grey.shape[1:])
    frequency = np.hypot(rows[:, None], columns)
    last = energy[(frequency > 0.5) & (frequency <= 1)].sum()
    before = energy[(frequency > 0.25) & (frequency <= 0.5)].sum()
    return bool(last < EMPTY_OCTAVE * before)


def _checked_high(x_high: ArrayLike, reference: Reference) -> NDArray[np.float32]:
    high = checked_inputs(x_high, "x_high")
    if len(high) != len(reference) or high.shape[1] <= reference.x.shape[1]:
        raise ValueError(
            f"Expected x_high to be the same {len(reference)} images with more than "
            f"{reference.x.shape[1]} rows of pixels. Received: x_high.shape={high.shape}"
        )
    return high


def _evidence(
    reference: Reference,
    scores: dict[str, NDArray],
    high: NDArray | None,
    finest: float,
    seed: int,
) -> Evidence:
    # Averaging also removes noise, so a lower resolution may score best: it is there in x.
    best = max((name for name in scores if name != "high"), key=lambda one: scores[one].mean())
    against = scores[best].astype("float64")
    means = {name: float(rows.mean()) for name, rows in scores.items()}
    chance = reference.chance if reference.classes else 0.0
    threshold = least_effect(chance, max(means.values()))
    if high is None:
        half = scores[f"{finest / 2:g}"]
        lost = scores["1"].astype("float64") - half
        interval = bootstrap_interval(lost, seed=seed)
        # Where nothing is learned, nothing can be lost: that says nothing of the resolution.
        learned = bootstrap_interval(scores["1"], seed=seed)[0] - chance > threshold
        status: Status = "absent" if learned and interval[1] < threshold else "unclear"
        effect, p = float(lost.mean()), p_better(scores["1"], half)
    else:
        gained = scores["high"] - against
        interval = bootstrap_interval(gained, seed=seed)
        effect, p = float(gained.mean()), p_better(scores["high"], scores[best])
        status = status_of(interval, threshold)
        status = "unclear" if status == "found" and p >= ALPHA else status
    side = reference.x.shape[1]
    text = _text(status, effect, high is not None, means["1"] - chance > threshold)
    if finest < 1:
        text += (
            f" The images hold no more detail than {round(finest * side)} pixels a side would, as "
            "enlarged ones do."
        )
    details: ResolutionDetails = {
        "sides": {
            name: (high.shape[1] if high is not None else None)
            if name == "high"
            else max(1, round(float(name) * side))
            for name in scores
        },
        "scores": means,
        "best_reduced": best,
        "higher_given": high is not None,
        "detail_share": finest,
        "lost_by_halving": means["1"] - means[f"{finest / 2:g}"],
    }
    return Evidence(
        "resolution",
        status,
        text,
        effect,
        interval,
        null=0.0,
        threshold=threshold,
        p_value=p,
        unit="accuracy" if reference.classes else "R²",
        samples=len(against),
        details=details,
    )


def _scores(features: NDArray, targets: NDArray, classes: bool) -> NDArray:
    """Which left-out samples are right; for values, one minus the error over that of the mean."""
    left_out = Ridge(features).left_out(targets)
    if classes:
        return np.asarray(left_out.argmax(axis=1) == targets.argmax(axis=1))
    spread = np.maximum(targets.var(axis=0), 1e-12)
    return 1 - ((left_out - targets) ** 2 / spread).mean(axis=1)


def _reduced_and_back(images: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Images averaged over larger pixels, at the size that they had."""
    height, width = images.shape[1:3]
    rows, columns = (averaging(side, round(share * side)) for side in (height, width))
    return resized(resized(images, rows, columns), spreading(rows), spreading(columns))


def _text(status: Status, effect: float, higher: bool, learned: bool) -> str:
    if higher:
        return {
            "found": f"At the higher resolution the score gains {effect:.3f}.",
            "absent": f"The higher resolution does not help: the score changes by {effect:.3f}.",
            "unclear": "Whether the higher resolution helps is open.",
        }[status]
    if not learned:
        return "Nothing is learned at any resolution; only images of a higher one could show more."
    if status == "absent":
        return f"Resolution does not limit the task: halving costs {effect:.3f}."
    return (
        f"Halving the resolution costs {effect:.3f}; whether a higher one would help, only "
        "images of a higher one can show."
    )
