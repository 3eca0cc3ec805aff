"""Whether uneven classes cost anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import bootstrap_interval, p_better, share_interval
from mtlkit.diagnostics._effects import least_effect, status_of
from mtlkit.diagnostics.data_probes._samples import checked_probabilities, prepared, timed
from mtlkit.diagnostics.evidence import Evidence, Status
from mtlkit.diagnostics.thresholds import ALPHA, HARDER, LEARNED_EVENLY, RARE_CLASS, RARE_LAG
from mtlkit.references.reference import Reference

#: How much of the logarithm of a class's frequency is taken off its score; 1 is what theory
#: says for perfect probabilities. The best is chosen on other samples than it is judged on.
_TAUS = (0.0, 0.25, 0.5, 0.75, 1.0)
#: Samples of a class that are kept, at least, where all classes are made equally few.
_LEAST_OF_CLASS = 10
#: Samples of rare classes, and of frequent ones, that are needed there to compare them.
_LEAST_ASKED = 30
#: Why what is found of a reference decides nothing.
_OF_A_BETTER_MODEL = "only the predictions of a better model show whether it needs help"


@timed
def imbalance(
    x: ArrayLike,
    y: ArrayLike,
    *,
    probabilities: ArrayLike | None = None,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Counts the classes, and asks what predictions would gain if frequency did not count.

    The ratio of class counts only describes the data. What it costs is measured: the
    logarithms of class frequencies are taken off the scores (post-hoc logit adjustment), and
    the change of the mean recall of the classes is taken. No adjustment helps a model that knows
    nothing of its rare classes; so of a model, the recall of rare classes (fewer samples than half
    an equal share) is compared with that of frequent ones (an equal share at least), too.

    Args:
        x: Images.
        y: Labels, classes.
        probabilities: What a model predicts for these samples, which it was not fitted to, of
            shape `(samples, classes)`. `None`: those of the reference.
        reference: A reference of the same images, whose work is shared.
        seed: Seed of a new reference, of halves and the interval.

    Returns:
        Evidence `"imbalance"`; the effect is the gain of the mean recall, or, if that is not
        clear but less than half as much is recalled of the rare classes as of the frequent ones,
        the difference of these recalls. `"found"` only for the probabilities of a model:
        the reference is too simple to learn rare classes well, even where a better model needs
        no help; there, it is `"unclear"`.

    Raises:
        ValueError: If images, labels or probabilities are not valid.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import imbalance

        y = np.repeat([0, 1], [180, 20])
        x = 0.1 * np.random.default_rng(0).random((200, 12, 12, 1), dtype="float32")
        x[y == 1, :6] += 1  # rare, but easily seen
        found = imbalance(x, y)
        assert found.status == "absent" and found.details["ratio"] == 9
        ```

    Reference:
        [Menon et al., Long-tail Learning via Logit Adjustment, 2021](
        https://arxiv.org/abs/2007.07314)
    """
    ready = prepared("imbalance", x, y, reference, seed)
    if isinstance(ready, Evidence):
        return ready
    counts = np.bincount(ready.y, minlength=ready.num_classes)
    if probabilities is None:
        found = _judged(ready.probabilities, ready.y, counts, seed, "the reference")
        if found.status == "absent":
            return found
        details = {**found.details, "harder": _harder(ready, counts, seed)}
        if not found.found:
            return replace(found, details=details)
        text = f"{found.text[:-1]}; {_OF_A_BETTER_MODEL}."
        details["unit"] = found.unit
        return replace(found, status="unclear", text=text, details=details)
    judged = checked_probabilities(probabilities, ready.y, ready.num_classes)
    return _judged(judged, ready.y, counts, seed, "the model")


@timed
def imbalance_of(
    probabilities: ArrayLike, y: ArrayLike, counts: ArrayLike, *, seed: int = 0
) -> Evidence:
    """Asks of a model's predictions for held-out samples what `imbalance` asks of a reference.

    Args:
        probabilities: What the model predicts, of shape `(samples, classes)`.
        y: The classes of these samples.
        counts: How many samples of each class it was trained on.
        seed: Seed of halves and the interval.
    """
    labels, trained = np.asarray(y, "int64"), np.asarray(counts)
    judged = checked_probabilities(probabilities, labels, len(trained))
    return _judged(judged, labels, trained, seed, "the model")


def confirmed(found: Evidence, before: Evidence) -> Evidence:
    """Leaves what is found of a model open unless a simple reference shows the same.

    A cost of rarity shows for any predictor. Classes that are still learned badly where all classes
    have equally few samples are hard, and rarity need not be the cause.

    Args:
        found: What `imbalance_of` says of a model.
        before: What `imbalance` said of the reference.
    """
    of_both = found.unit == before.details.get("unit") == "mean recall"  # of frequency alone
    harder = before.details.get("harder")
    if not found.found or of_both or (harder is not None and harder < HARDER):
        return found
    if harder is None:
        why = "whether they are as hard where all classes are equally few is not known"
    else:
        why = (
            "where all classes are equally few, a reference still knows "
            f"{100 * harder:.0f} % less of them than of the others, so they may be hard"
        )
    return replace(found, status="unclear", text=f"{found.text[:-1]}; but {why}.")


def _harder(reference: Reference, counts: NDArray, seed: int) -> float | None:
    """How much less is recalled of the rare classes where all classes are equally few.

    As a share of what is recalled of the frequent ones; `None` where that is not known.
    """
    share = _of_equal_share(counts)
    rare = share < RARE_CLASS
    known = counts[rare & (counts > 0)]
    if not len(known):
        return None
    most = max(int(np.median(known)), _LEAST_OF_CLASS)
    order = np.random.default_rng(seed).permutation(len(reference))
    rows = np.concatenate([order[reference.y[order] == one][:most] for one in range(len(counts))])
    even = reference.of_rows(np.sort(rows))
    of_rare, of_frequent = (even.correct[mask[even.y]] for mask in (rare, share >= 1))
    if min(len(of_rare), len(of_frequent)) < _LEAST_ASKED:
        return None
    recalls = float(of_rare.mean()), float(of_frequent.mean())
    learned = recalls[1] > LEARNED_EVENLY / len(np.unique(even.y))
    return max(0.0, 1 - recalls[0] / recalls[1]) if learned else None


def _of_equal_share(counts: NDArray) -> NDArray[np.float64]:
    """The samples of each class, in multiples of an equal share."""
    return counts * (counts > 0).sum() / counts.sum()


def _judged(
    probabilities: NDArray, labels: NDArray, trained: NDArray, seed: int, of: str
) -> Evidence:
    """What the adjustment gains and, unless that decides, how far rare classes lag behind."""
    gained = _measured(probabilities, labels, trained, seed, of)
    share = _of_equal_share(trained)[labels]
    right = probabilities.argmax(axis=1) == labels
    rare, frequent = right[share < RARE_CLASS], right[share >= 1]
    if gained.found or not len(rare) or not len(frequent):
        return gained
    low, high = share_interval(rare.sum(), len(rare))
    least, most = share_interval(frequent.sum(), len(frequent))
    interval, threshold = (least - high, most - low), RARE_LAG * float(frequent.mean())
    status = status_of(interval, threshold)
    if status != "found":
        # A gain that is too small to matter shows nothing of classes that are hardly known.
        return gained if status == "absent" else replace(gained, status="unclear")
    recalls = {"recall_of_rare": float(rare.mean()), "recall_of_frequent": float(frequent.mean())}
    return replace(
        gained,
        status=status,
        text=(
            f"{_ratio_text(gained.details['ratio'])}: of rare classes {of} knows "
            f"{100 * recalls['recall_of_rare']:.0f} % of the samples, of frequent ones "
            f"{100 * recalls['recall_of_frequent']:.0f} %."
        ),
        effect=recalls["recall_of_frequent"] - recalls["recall_of_rare"],
        interval=interval,
        threshold=threshold,
        p_value=None,
        unit="recall",
        details={**gained.details, **recalls, "gain_of_adjustment": gained.effect},
    )


def _measured(
    probabilities: NDArray, labels: NDArray, trained: NDArray, seed: int, of: str
) -> Evidence:
    """The gain of the mean recall, for samples that the probabilities were not fitted to."""
    counts = np.bincount(labels, minlength=len(trained))
    plain, adjusted, taus = _adjusted(probabilities, labels, trained, np.random.default_rng(seed))
    # The mean recall is a mean over samples, each weighed against the size of its class.
    weight = len(labels) / ((counts > 0).sum() * counts[labels])
    gained = (adjusted.astype("float64") - plain) * weight
    interval = bootstrap_interval(gained, seed=seed)
    gain, recall = float(gained.mean()), float((plain * weight).mean())
    threshold = least_effect(1 / len(trained), recall + max(0.0, gain))
    p = p_better(gained, np.zeros(len(gained)))
    status = status_of(interval, threshold)
    if status == "found" and p >= ALPHA:
        status = "unclear"
    ratio = float(trained.max() / trained[trained > 0].min())
    return Evidence(
        "imbalance",
        status,
        _text(status, ratio, gain, of),
        gain,
        interval,
        null=0.0,
        threshold=threshold,
        p_value=p,
        unit="mean recall",
        samples=len(labels),
        details={
            "of": of,
            "counts": trained,
            "ratio": ratio,
            "empty_classes": np.flatnonzero(trained == 0),
            "tau": taus,
            "mean_recall": recall,
            "accuracy": float(plain.mean()),
            "accuracy_adjusted": float(adjusted.mean()),
            "recall": _recalls(plain, labels, counts),
            "recall_adjusted": _recalls(adjusted, labels, counts),
        },
    )


def _adjusted(
    probabilities: NDArray, labels: NDArray, counts: NDArray, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], list[float]]:
    """Which samples are right without and with the adjustment, and how much was taken off."""
    logs = np.log(np.maximum(probabilities, 1e-12))
    frequency = np.log(np.maximum(counts, 0.5) / counts.sum())
    right = np.stack([(logs - tau * frequency).argmax(axis=1) == labels for tau in _TAUS])
    weight = 1 / np.bincount(labels, minlength=len(counts))[labels]
    order = rng.permutation(len(labels))
    adjusted, taus = np.empty(len(labels), bool), []
    for judged, chosen_by in ((order[::2], order[1::2]), (order[1::2], order[::2])):
        best = int((right[:, chosen_by] * weight[chosen_by]).sum(axis=1).argmax())
        adjusted[judged] = right[best, judged]
        taus.append(_TAUS[best])
    return right[0], adjusted, taus


def _recalls(right: NDArray, labels: NDArray, counts: NDArray) -> list[float | None]:
    found = np.bincount(labels, right, minlength=len(counts))
    return [float(hit / count) if count else None for hit, count in zip(found, counts, strict=True)]


def _ratio_text(ratio: float) -> str:
    return f"The most frequent class has {ratio:.3g} times the samples of the rarest"


def _text(status: Status, ratio: float, gain: float, of: str) -> str:
    start = _ratio_text(ratio)
    return {
        "absent": f"{start}, which costs nothing that matters (mean recall {gain:+.3f}).",
        "found": (
            f"{start}: were frequency taken off, the mean recall of {of} would gain {gain:.3f}."
        ),
        "unclear": f"{start}; whether that costs anything is open.",
    }[status]
