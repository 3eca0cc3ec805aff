"""What the uncertainty of predictions says; an explanation, never a cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import fitted_temperature
from mtlkit.diagnostics.data_probes._samples import checked_probabilities, prepared, timed
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.references._ridge import calibrated, one_hot
from mtlkit.references.reference import Reference

#: Bins of confidence, as is usual.
_BINS = 15
#: Members of the ensemble, each of which predicts every sample after fitting another half.
_MEMBERS = 4
#: Principal components that members see, and the strength of their penalty.
_COMPONENTS, _STRENGTH = 200, 0.1
#: Redraws for the interval of the calibration error, and draws of labels for its null.
_DRAWS = 300
#: Entropy as a share of that of a guess, from where on predictions are all but a guess.
_GUESS = 0.95


@timed
def uncertainty(
    x: ArrayLike,
    y: ArrayLike,
    *,
    probabilities: ArrayLike | None = None,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Splits the entropy of predictions, and measures how well they are calibrated.

    Members of an ensemble are fitted to halves of the samples and predict the others. The
    entropy of their mean is the total; the mean of their entropies is what each of them is unsure
    of (aleatoric: noise and ambiguity look alike here); the rest is what they disagree about
    (epistemic: more data or a better model might settle it).

    Args:
        x: Images.
        y: Labels, classes.
        probabilities: What a model predicts for these samples, which it was not fitted to, of
            shape `(samples, classes)`; then entropy and calibration are the model's, and what the
            ensemble says is in the details. `None`: those of the reference.
        reference: A reference of the same images, whose work is shared.
        seed: Seed of a new reference, of halves and intervals.

    Returns:
        Evidence `"uncertainty"`, always `"described"`: the effect, the expected calibration error,
        explains but is not a cause.

    Raises:
        ValueError: If images, labels or probabilities are not valid.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import uncertainty

        rng = np.random.default_rng(0)
        y = rng.integers(2, size=200)
        x = 0.1 * rng.random((200, 12, 12, 1), dtype="float32")
        x[y == 1, :6] += 1
        found = uncertainty(x, y)
        assert found.status == "described" and found.details["entropy"]["total"] < 0.5
        ```
    """
    ready = prepared("uncertainty", x, y, reference, seed)
    if isinstance(ready, Evidence):
        return ready
    ensemble = _of_ensemble(ready, np.random.default_rng(seed))
    if probabilities is not None:
        judged = checked_probabilities(probabilities, ready.y, ready.num_classes)
        return uncertainty_of(judged, ready.y, ensemble=ensemble, seed=seed)
    judged = ready.probabilities.astype("float64")
    return _evidence(judged, ready.y, "the reference", ensemble, seed, {"temperature": 1.0})


@timed
def uncertainty_of(
    probabilities: ArrayLike,
    y: ArrayLike,
    *,
    ensemble: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Evidence:
    """Asks how sure a model's predictions for held-out samples are, and how rightly so.

    Entropy shows what a model is unsure of; near that of a guess it has learned nothing, which
    says nothing of the data. A model that knows what it does not know is less sure where it is
    wrong.

    Args:
        probabilities: What the model predicts, of shape `(samples, classes)`.
        y: The classes of these samples.
        ensemble: How `uncertainty` splits the entropy of an ensemble, to be kept beside it.
        seed: Seed of the interval.
    """
    labels, size = np.asarray(y, "int64"), np.asarray(probabilities).shape[-1]
    judged = checked_probabilities(probabilities, labels, size)
    right, each = judged.argmax(axis=1) == labels, _entropy(judged)
    entropy = {
        **_summary(each, labels, size),
        "where_right": float(each[right].mean()) if right.any() else None,
        "where_wrong": float(each[~right].mean()) if not right.all() else None,
    }
    more = {"temperature": _temperature(judged, labels), "ensemble": ensemble}
    return _evidence(judged, labels, "the model", entropy, seed, more)


def _evidence(
    judged: NDArray,
    labels: NDArray,
    of: str,
    entropy: dict[str, Any],
    seed: int,
    more: dict[str, Any],
) -> Evidence:
    rng = np.random.default_rng(seed)
    error, low, high, null = _calibration_with_interval(judged, labels, rng)
    share = entropy["total"] / np.log2(judged.shape[1])
    details = {
        "of": of,
        "entropy": entropy,
        "share_of_a_guess": share,
        "bins": _bins(judged, labels),
        "confidence": float(judged.max(axis=1).mean()),
        "accuracy": float((judged.argmax(axis=1) == labels).mean()),
        **more,
    }
    return Evidence(
        "uncertainty",
        "described",
        _text(details, error),
        error,
        (low, high),
        null=null,
        unit="expected calibration error",
        samples=len(labels),
        details=details,
    )


def _calibration_error(confidence: NDArray, correct: NDArray, bins: NDArray) -> float:
    """The mean distance of accuracy and confidence over the bins, by their samples."""
    gap = np.bincount(bins, correct - confidence, minlength=_BINS)
    return float(np.abs(gap).sum() / len(bins))


def _calibration_with_interval(
    probabilities: NDArray, labels: NDArray, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    confidence = probabilities.max(axis=1)
    correct = (probabilities.argmax(axis=1) == labels).astype("float64")
    bins = _bin_of(confidence)
    error = _calibration_error(confidence, correct, bins)
    redrawn = []
    for _ in range(_DRAWS):
        rows = rng.integers(len(labels), size=len(labels))
        redrawn.append(_calibration_error(confidence[rows], correct[rows], bins[rows]))
    # Even perfect probabilities have some error, since labels are drawn by luck.
    lucky = [
        _calibration_error(confidence, (rng.random(len(bins)) < confidence).astype("float64"), bins)
        for _ in range(_DRAWS)
    ]
    low, high = np.quantile(redrawn, [0.025, 0.975])
    return error, float(low), float(high), float(np.mean(lucky))


def _bin_of(confidence: NDArray) -> NDArray[np.int64]:
    return np.minimum((confidence * _BINS).astype("int64"), _BINS - 1)


def _bins(probabilities: NDArray, labels: NDArray) -> list[dict[str, float]]:
    confidence = probabilities.max(axis=1)
    correct, bins = probabilities.argmax(axis=1) == labels, _bin_of(confidence)
    return [
        {
            "samples": int((bins == one).sum()),
            "confidence": float(confidence[bins == one].mean()),
            "accuracy": float(correct[bins == one].mean()),
        }
        for one in np.unique(bins)
    ]


def _of_ensemble(reference: Reference, rng: np.random.Generator) -> dict[str, Any]:
    members = np.stack([_member(reference, rng) for _ in range(_MEMBERS)])
    total = _entropy(members.mean(axis=0))
    each = _entropy(members).mean(axis=0)
    return {
        **_summary(total, reference.y, reference.num_classes),
        "aleatoric": float(each.mean()),
        "epistemic": float((total - each).mean()),
        "members": _MEMBERS,
    }


def _summary(entropy: NDArray, labels: NDArray, num_classes: int) -> dict[str, Any]:
    classes = [labels == one for one in range(num_classes)]
    return {
        "total": float(entropy.mean()),
        "quantiles": np.quantile(entropy, np.linspace(0, 1, 21)),
        "by_class": [float(entropy[rows].mean()) if rows.any() else None for rows in classes],
    }


def _entropy(probabilities: NDArray) -> NDArray[np.float64]:
    """In bits."""
    from scipy.special import entr

    return np.asarray(entr(probabilities.astype("float64")).sum(axis=-1) / np.log(2))


def _member(reference: Reference, rng: np.random.Generator) -> NDArray[np.float32]:
    """Probabilities for each half of the samples, from a regression on the other half."""
    features = reference.ridge.components(_COMPONENTS)
    targets = one_hot(reference.y, reference.num_classes)
    scores = np.empty_like(targets)
    order = rng.permutation(len(features))
    half = len(order) // 2
    for held, fitted in ((order[:half], order[half:]), (order[half:], order[:half])):
        scores[held] = _fit_and_predict(features[fitted], targets[fitted], features[held])
    return calibrated(scores, reference.y)


def _fit_and_predict(features: NDArray, targets: NDArray, asked: NDArray) -> NDArray:
    mean, level = features.mean(axis=0), targets.mean(axis=0)
    centred = (features - mean).astype("float64")
    gram = centred.T @ centred
    penalty = _STRENGTH * np.trace(gram) / len(gram) + 1e-9
    weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), centred.T @ (targets - level))
    return (asked - mean) @ weights + level


def _temperature(probabilities: NDArray, labels: NDArray) -> float:
    """By what logarithms of probabilities should be divided; above 1 if they are too sure."""
    logs = np.log(np.maximum(probabilities, 1e-12))
    return fitted_temperature(logs, labels, least=np.exp(-3.0), most=np.exp(3.0))


def _text(details: dict[str, Any], error: float) -> str:
    entropy, of, temperature = details["entropy"], details["of"], details["temperature"]
    if details["share_of_a_guess"] > _GUESS:
        text = "Predictions are all but a guess: that says nothing of noise or ambiguity"
    else:
        text = f"Predictions are unsure by {entropy['total']:.2f} bits"
        if "epistemic" in entropy:
            text += f", of which members of an ensemble disagree about {entropy['epistemic']:.2f}"
        elif entropy["where_wrong"] is not None and entropy["where_right"] is not None:
            right, wrong = entropy["where_right"], entropy["where_wrong"]
            text += f" ({right:.2f} where they are right, {wrong:.2f} where they are wrong)"
    text += f"; {of} is off by {100 * error:.1f} points in its confidence"
    if temperature != 1.0:
        text += f" (temperature {temperature:.2f})"
    return f"{text}."
