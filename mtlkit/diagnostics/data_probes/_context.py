"""Whether a task needs to know another task's label, and whether that label gives it away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import bootstrap_interval, count_table, holm, p_better, share_interval
from mtlkit.diagnostics._checks import LEAST_SAMPLES
from mtlkit.diagnostics._effects import least_effect, status_of
from mtlkit.diagnostics.data_probes._samples import checked_labels, prepared, timed
from mtlkit.diagnostics.evidence import Evidence, Status, not_tested
from mtlkit.diagnostics.thresholds import ALPHA, LEAST_BITS, SAME_TASK
from mtlkit.references._neighbours import Neighbours
from mtlkit.references._other_tasks import (
    components_of,
    ridge_without_its_fold,
    with_interactions,
)
from mtlkit.references._ridge import Ridge, one_hot
from mtlkit.references.reference import Reference

#: Permutations of the test of dependence, and of the association of being right.
_PERMUTATIONS = 999
#: Classes of another task with fewer samples than this are too small to look within.
_LEAST_OF_CLASS = 5
#: Of several tasks, the one is reported of which most is known.
_RANK = {"absent": 0, "unclear": 1, "found": 2}


@timed
def needs_context(
    x: ArrayLike,
    y: ArrayLike,
    others: Mapping[str, ArrayLike],
    *,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Compares what a task scores with and without the label of another task.

    Five arms are scored on left-out samples, for each other task `A` of classes: the image alone;
    with the true `A`; with the *predicted* `A`, probabilities of which each is made without a whole
    fold; with `A` shuffled; and `A` alone. What the reference gets wrong by the image alone, two
    simple models correct with `A`: a regression in which each class of `A` weighs the image in its
    own way, and neighbours within the same class of `A`; the better one counts in each arm. So a
    label that means something only beside `A`, such as the pose of an object from its own front, is
    seen to need it.

    To be told `A` also helps a simple model that could have read it off the image. Therefore the
    effect is what the true `A` adds to the predicted one: what the image does not show. If the
    reference reads `A` better than a constant does, a better model may read it better still, and
    the evidence is `"unclear"`. `details["gain_predicted"]` is what a conditioned head may gain.

    Args:
        x: Images.
        y: Labels of the task, classes.
        others: Labels of the other tasks; -1: unlabelled. Tasks of values are left aside.
        reference: A reference of the same images, whose work is shared.
        seed: Seed of a new reference, of shuffles and intervals.

    Returns:
        Evidence `"needs_context"`; the effect is the gain of accuracy by the true label over
        the predicted one, for the task that gives most.

    Raises:
        ValueError: If images or labels are not valid.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import needs_context

        rng = np.random.default_rng(0)
        top, context = rng.integers(2, size=(2, 400))
        x = 0.1 * rng.random((400, 12, 12, 1), dtype="float32")
        x[top == 1, :6] += 1
        found = needs_context(x, top ^ context, {"context": context})
        assert found.found and found.details["task"] == "context"
        ```
    """
    ready = prepared("needs_context", x, y, reference, seed)
    if isinstance(ready, Evidence):
        return ready
    usable = of_classes(others, len(ready))
    if not usable:
        return not_tested("needs_context", "There is no other task of classes.")
    looks = {task: _arms(ready, labels, seed) for task, labels in usable.items()}
    for one, p in zip(looks.values(), holm([one["p"] for one in looks.values()]), strict=True):
        one["p"] = float(p)
        added = _added(one)
        # What it gives away by itself cannot be told from what it adds to the image. And where the
        # image shows something of it, a better model may read the rest.
        is_open = added == "found" and (one["leaks"] or one["read"])
        one["status"] = "unclear" if is_open else added
        one["shown"] = is_open and not one["leaks"]
    best = max(looks, key=lambda task: (_RANK[looks[task]["status"]], looks[task]["gain"]))
    one = looks[best]
    return Evidence(
        "needs_context",
        one["status"],
        _context_text(best, one),
        one["gain"],
        one["interval"],
        null=one["arms"]["shuffled"]["accuracy"] - one["arms"]["image"]["accuracy"],
        threshold=one["threshold"],
        p_value=one["p"],
        unit="accuracy",
        samples=one["samples"],
        details={"task": best, **one, "tasks": looks},
    )


@timed
def label_leak(
    y: ArrayLike,
    others: Mapping[str, ArrayLike],
    *,
    num_classes: int | None = None,
    seed: int = 0,
) -> Evidence:
    """Tests whether the label of another task alone gives this one away.

    The mutual information of the two labels is compared with that after permutations. Where
    labels depend on each other, a head that sees the other task may be right without the
    image.

    Related tasks depend on each other by what they mean, such as coarse beside fine classes, and
    labels do not show which it is: the status is `"unclear"`. Only a task that is this one under
    another name, its classes renamed one by one, is `"found"`.

    Args:
        y: Labels of the task, classes.
        others: Labels of the other tasks; -1: unlabelled. Tasks of values are left aside.
        num_classes: Number of classes. `None`: one more than the largest label.
        seed: Seed of the permutations.

    Returns:
        Evidence `"label_leak"`; the effect is what guessing gains from the other label, in
        accuracy, for the task that gives most away.

    Raises:
        ValueError: If labels are not valid.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import label_leak

        rng = np.random.default_rng(0)
        y = rng.integers(4, size=400)
        again = np.where(rng.random(400) < 0.98, 3 - y, rng.integers(4, size=400))
        assert label_leak(y, {"again": again}).found
        assert label_leak(y, {"position": np.arange(400) % 2}).status == "absent"
        assert label_leak(y, {"half": y // 2}).status == "unclear"
        ```
    """
    labels = checked_labels(y, len(np.asarray(y)))
    if labels.dtype.kind == "f":
        return not_tested("label_leak", "It needs classes; the labels are values.")
    usable = of_classes(others, len(labels))
    if len(np.unique(labels)) < 2 or not usable:
        return not_tested("label_leak", "There is only one class, or no other task of classes.")
    num_classes = num_classes or int(labels.max()) + 1
    looks = {task: _dependence(labels, one, num_classes, seed) for task, one in usable.items()}
    for look, p in zip(looks.values(), holm([one["p"] for one in looks.values()]), strict=True):
        look["p"] = float(p)
        dependent = _leak_status(look)
        look["status"] = "unclear" if dependent == "found" and not look["same"] else dependent
    best = max(
        looks,
        key=lambda task: (
            _RANK[looks[task]["status"]],
            _bits_beyond_luck(looks[task]),
        ),
    )
    one = looks[best]
    return Evidence(
        "label_leak",
        one["status"],
        _leak_text(best, one),
        one["gain"],
        one["interval"],
        null=0.0,
        threshold=one["threshold"],
        p_value=one["p"],
        unit="accuracy",
        samples=one["samples"],
        details={"task": best, **one, "tasks": looks},
    )


def _leak_text(task: str, one: dict[str, Any]) -> str:
    if one["status"] == "found":
        return (
            f"{task} is this task with its classes renamed: from it alone a guess gains "
            f"{one['gain']:.3f}."
        )
    if one["status"] == "unclear":
        return (
            f"{task} alone gives {_bits_beyond_luck(one):.3f} bits of the label, and a guess gains "
            f"{one['gain']:.3f}: related tasks, or labels that give each other away."
        )
    return f"No other label gives this one away (p = {one['p']:.2f} for {task})."


def of_classes(others: Mapping[str, ArrayLike], samples: int) -> dict[str, NDArray]:
    """Other tasks of two or more classes; labels that are missing stay -1."""
    found = {}
    for task, labels in others.items():
        given = np.asarray(labels)
        if given.ndim != 1 or len(given) != samples:
            if given.dtype.kind == "f" and len(given) == samples:
                continue
            raise ValueError(
                f"Expected {samples} labels for task '{task}'. Received: shape={given.shape}"
            )
        if given.dtype.kind in "iub":
            known = given[given != -1]
            if len(known) >= LEAST_SAMPLES and len(np.unique(known)) > 1:
                found[str(task)] = given.astype("int64")
    return found


def _arms(reference: Reference, labels: NDArray, seed: int) -> dict[str, Any]:
    there = labels >= 0
    if not there.all():
        reference, labels = reference.of_rows(there), labels[there]
    rng = np.random.default_rng(seed)
    names, labels = np.unique(labels, return_inverse=True)
    true = one_hot(labels, len(names))
    other = reference.with_labels(labels, len(names))
    told = _Corrected(reference)
    rows = {
        "image": told.right(None),
        "true": told.right(true),
        "predicted": told.right(_predicted(other)),
        "shuffled": told.right(rng.permutation(true)),
        "alone": Ridge(true).left_out(reference.targets, 1e-3).argmax(axis=1) == reference.y,
    }
    known = rows["true"].astype("float64")
    gain = known - rows["predicted"]
    # Against the shuffled label, as its classes make the same number of weights to be fitted.
    oracle = known - rows["shuffled"]
    pays = rows["predicted"].astype("float64") - rows["image"]
    best = max(float(right.mean()) for right in rows.values())
    return {
        "samples": len(labels),
        "arms": {arm: _accuracy(right) for arm, right in rows.items()},
        "gain": float(gain.mean()),
        "interval": bootstrap_interval(gain, seed=seed),
        "p": max(p_better(rows["true"], rows["predicted"]), p_better(rows["true"], rows["image"])),
        "threshold": least_effect(reference.chance, best),
        "gain_over_image": float((known - rows["image"]).mean()),
        "gain_over_image_interval": bootstrap_interval(known - rows["image"], seed=seed),
        "gain_over_shuffled": float(oracle.mean()),
        "gain_over_shuffled_interval": bootstrap_interval(oracle, seed=seed),
        "gain_predicted": float(pays.mean()),
        "gain_predicted_interval": bootstrap_interval(pays, seed=seed),
        "leaks": _leaks(reference.y, labels, reference.num_classes, seed),
        "accuracy_of_other": other.accuracy,
        "read": _is_read(other),
        "association": _association(reference.correct, other.correct, labels, rng),
    }


def _is_read(other: Reference) -> bool:
    """Whether the image shows something of the other label: beyond its most frequent class."""
    constant = other.y == np.bincount(other.y).argmax()
    return p_better(other.correct, constant) < ALPHA


def _predicted(other: Reference) -> NDArray:
    """Probabilities of the other label, of each sample without its fold.

    Left out one by one, predictions would give labels away: without its own label, each is a little
    too low where that label is high.
    """
    if not other.kind.quick:  # which leaves out whole folds
        return other.probabilities
    return np.clip(ridge_without_its_fold(other), 0, 1)


class _Corrected:
    """What a reference says of left-out samples, corrected by models that see a context, too."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._components = components_of(reference)
        # Both are of left-out samples, so that the corrections are, too.
        self._missing = reference.targets - reference.scores

    def right(self, context: NDArray | None) -> NDArray[np.bool_]:
        """Which left-out samples are right by the best of the reference and the two models."""
        corrections = [self._by_regression(context)]
        if context is not None:
            corrections.append(self._by_neighbours(context.argmax(axis=1)))
        scores = self._reference.scores
        rows = [
            np.asarray((scores + one).argmax(axis=1) == self._reference.y) for one in corrections
        ]
        return max([self._reference.correct, *rows], key=lambda right: float(right.mean()))

    def _by_regression(self, context: NDArray | None) -> NDArray:
        """Each context weighs the first components its own way."""
        features = self._components
        if context is not None:
            features = with_interactions(features, [context])
        return Ridge(features).left_out(self._missing)

    def _by_neighbours(self, groups: NDArray) -> NDArray:
        """The mean of neighbours within the same group."""
        corrections = np.zeros_like(self._missing)
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            if len(rows) >= _LEAST_OF_CLASS:
                near = Neighbours(self._components[rows])
                corrections[rows] = near.left_out(self._missing[rows], near.usual_strength)
        return corrections


def _accuracy(right: NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "accuracy": float(right.mean()),
        "interval": share_interval(int(right.sum()), len(right)),
    }


def _association(
    correct: NDArray[np.bool_],
    also: NDArray[np.bool_],
    labels: NDArray,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Whether the task is right more often where the other one is; not a cause of anything.

    Samples that are hard for one task may be hard for the other, too. Being right is permuted
    within the classes of the other task, so that easy classes do not count.
    """
    if also.all() or not also.any():
        return {"right_if_other_right": None, "samples_other_right": int(also.sum())}
    groups = [np.flatnonzero(labels == one) for one in np.unique(labels)]
    groups = [rows for rows in groups if len(rows) >= _LEAST_OF_CLASS]
    seen = int(correct[also].sum())
    # The number of samples that are right in both, if the two were drawn apart in each class.
    draws = sum(
        (
            rng.hypergeometric(
                int(correct[rows].sum()),
                len(rows) - int(correct[rows].sum()),
                int(also[rows].sum()),
                size=_PERMUTATIONS,
            )
            for rows in groups
        ),
        start=np.zeros(_PERMUTATIONS, "int64"),
    )
    counted = sum(int((correct & also)[rows].sum()) for rows in groups)
    count = int(also.sum())
    return {
        "right_if_other_right": seen / count,
        "interval": share_interval(seen, count),
        "right_if_other_wrong": float(correct[~also].mean()),
        "samples_other_right": count,
        "p": float((1 + (draws >= counted).sum()) / (1 + _PERMUTATIONS)),
    }


def _added(one: dict[str, Any]) -> Status:
    """Whether the true label adds something to the predicted one, and to the image alone."""
    status = status_of(one["interval"], one["threshold"])
    if status != "found":
        return status
    # Noise in a predicted label may have hurt.
    over_image = status_of(one["gain_over_image_interval"], one["threshold"])
    return over_image if one["p"] < ALPHA else "unclear"


def _context_text(task: str, one: dict[str, Any]) -> str:
    arms = {arm: 100 * found["accuracy"] for arm, found in one["arms"].items()}
    text = (
        f"accuracy {arms['image']:.1f} % from the inputs, {arms['true']:.1f} % with the true "
        f"{task}, {arms['predicted']:.1f} % with the predicted, {arms['shuffled']:.1f} % shuffled"
    )
    if one["status"] == "unclear" and one["leaks"]:
        start = f"{task} alone says something of the label"
    elif one["shown"]:
        start = f"Whether the inputs show enough of {task} for this task is open"
    else:
        start = {
            "found": f"The task needs {task}, which the inputs do not show",
            "absent": f"{task} adds nothing that the inputs do not show",
            "unclear": f"Whether the task needs {task} is open",
        }[one["status"]]
    return f"{start}: {text}."


def _dependence(labels: NDArray, other: NDArray, num_classes: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    there = other >= 0
    labels, (names, other) = labels[there], np.unique(other[there], return_inverse=True)
    table = count_table(other, labels, len(names), num_classes)
    bits, constant = _bits(table), labels == table.sum(axis=0).argmax()
    permuted, by_luck = [], []
    for _ in range(_PERMUTATIONS):
        one = count_table(other, rng.permutation(labels), len(names), num_classes)
        permuted.append(_bits(one))
        by_luck.append(one.max(axis=1).sum() / len(labels) - constant.mean())
    # The most frequent label of each class of the other task is chosen from the same samples. (A
    # guess that leaves its sample out is always wrong where classes are of exactly equal size.)
    guess = table.argmax(axis=1)[other] == labels
    gain = guess.astype("float64") - constant - float(np.mean(by_luck))
    return {
        "samples": len(labels),
        "bits": bits,
        "bits_by_luck": float(np.mean(permuted)),
        "p": float((1 + np.sum(np.array(permuted) >= bits)) / (1 + _PERMUTATIONS)),
        "gain": float(gain.mean()),
        "interval": bootstrap_interval(gain, seed=seed),
        "threshold": least_effect(1 / num_classes, float(guess.mean())),
        "table": table,
        "same": _same(table),
    }


def _same(table: NDArray) -> bool:
    """Whether two tasks have as many classes, which belong together one by one but for a few."""
    present = table[table.any(axis=1)][:, table.any(axis=0)]
    if present.shape[0] != present.shape[1]:
        return False
    partners = present.argmax(axis=1)
    one_to_one = len(set(partners.tolist())) == len(partners)
    return one_to_one and bool(present.max(axis=1).sum() >= SAME_TASK * present.sum())


def _bits(table: NDArray) -> float:
    """Mutual information of the two labels of a table of counts."""
    from scipy.special import xlogy

    total = table.sum()
    joint = xlogy(table, table).sum()
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    nats = (joint - xlogy(rows, rows).sum() - xlogy(columns, columns).sum()) / total
    return float((nats + np.log(total)) / np.log(2))


def _bits_beyond_luck(one: dict[str, Any]) -> float:
    return float(one["bits"] - one["bits_by_luck"])


def _leak_status(one: dict[str, Any]) -> str:
    if one["p"] >= ALPHA or _bits_beyond_luck(one) <= LEAST_BITS:
        return "absent"
    return status_of(one["interval"], one["threshold"])


def _leaks(labels: NDArray, other: NDArray, num_classes: int, seed: int) -> bool:
    """Whether the other label says something of this one by itself, though no guess may gain."""
    found = _dependence(labels, other, num_classes, seed)
    return bool(found["p"] < ALPHA and _bits_beyond_luck(found) > LEAST_BITS)
