"""Validation images that are in the training data, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import share_interval
from mtlkit.diagnostics._checks import input_array, labels_by_name
from mtlkit.diagnostics._effects import status_of
from mtlkit.diagnostics.data_probes._duplicates import LISTED, differ, rows_by_input
from mtlkit.diagnostics.data_probes._samples import small_images, timed, unit_vectors
from mtlkit.diagnostics.details import SplitDetails
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.thresholds import COPIES_THAT_MATTER, NEAR_COPY
from mtlkit.metrics._labels import is_labelled

#: Images whose nearest neighbour is looked for, and training images among which it is.
_QUERIES, _KNOWN = 3000, 50_000
#: Images looked at together, so that large arrays are not copied whole.
_CHUNK = 1024


@timed
def splits(
    x: ArrayLike,
    y: ArrayLike | Mapping[str, ArrayLike],
    x_val: ArrayLike,
    y_val: ArrayLike | Mapping[str, ArrayLike],
    *,
    seed: int = 0,
) -> Evidence:
    """Looks for validation images that are in the training data, too.

    Exact copies are found by their bytes. A near copy is much nearer to a training image than
    training images are to each other; as chance brings such neighbours about where objects
    vary little, the share of training images with one is what would be expected, and only
    what exceeds it counts. Images of a single shade are left aside.

    Args:
        x: Training images.
        y: Training labels, or labels by task; they may be missing.
        x_val: Validation images.
        y_val: Validation labels, or labels by task; they may be missing.
        seed: Seed of the images that are looked at, where there are many.

    Returns:
        Evidence `"invalid_split"`; the effect is the share of validation images that are copies.

    Raises:
        ValueError: If images or labels are not valid, or images differ in shape.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import splits

        x = np.random.default_rng(0).random((200, 12, 12, 1), dtype="float32")
        y = np.arange(200) % 4
        assert splits(x[:100], y[:100], x[100:], y[100:]).status == "absent"
        assert splits(x, y, x[150:], y[150:]).found
        ```
    """
    train, held = input_array(x), input_array(x_val, "x_val")
    if train.shape[1:] != held.shape[1:]:
        raise ValueError(
            "Expected training and validation images of one shape. "
            f"Received: {train.shape[1:]} and {held.shape[1:]}"
        )
    if train.dtype != held.dtype:
        train, held = train.astype("float32"), held.astype("float32")
    labels = labels_by_name(y, len(train)), labels_by_name(y_val, len(held), "y_val")
    known = rows_by_input(train)
    exact = _exact_copies(known, held)
    by_chance = 0.0
    if train.ndim == 4:
        first = np.sort([rows[0] for rows in known.values()])
        near, null = _near_copies(train, first, held, exact >= 0, np.random.default_rng(seed))
    else:  # rows of a table may be equal by chance, and near ones are no copies
        near = null = _no_near_copies()
        by_chance = sum(len(rows) for rows in known.values() if len(rows) > 1) / len(train)
    return _split_evidence(exact, near, null, labels, by_chance)


def _exact_copies(known: dict[bytes, list[int]], held: NDArray) -> NDArray[np.int64]:
    """For each held-out image the row of its copy in the training data, or -1."""
    rows = np.full(len(held), -1)
    for digest, copies in rows_by_input(held).items():
        if digest in known:
            rows[copies] = known[digest][0]
    return rows


def _near_copies(
    train: NDArray,
    different: NDArray,
    held: NDArray,
    exact: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Near copies among the held-out images, and the same among different training images."""
    if len(different) > _KNOWN:
        different = np.sort(rng.permutation(different)[:_KNOWN])
    known = _vectors(train, different) if len(different) > 1 else None
    varied = np.flatnonzero(~exact & (np.ptp(held, axis=(1, 2, 3)) > 0))
    if known is None or not len(varied):
        return _no_near_copies(), _no_near_copies()
    some = np.sort(rng.permutation(len(known))[:_QUERIES])
    usual, usual_of = _nearest(known[some], known, itself=some)
    cut = NEAR_COPY * float(np.median(usual))
    asked = np.sort(rng.permutation(varied)[:_QUERIES])
    found, found_of = _nearest(_vectors(held, asked), known)
    return (
        _near(asked, different[found_of], found, cut),
        _near(different[some], different[usual_of], usual, cut),
    )


def _no_near_copies() -> dict[str, Any]:
    none = np.zeros(0, "int64")
    return {"rows": none, "of": none, "looked": 0, "distances": np.zeros(0)}


def _vectors(images: NDArray, rows: NDArray) -> NDArray[np.float32]:
    parts = (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))
    return np.concatenate([unit_vectors(small_images(images[p].astype("float32"))) for p in parts])


def _near(rows: NDArray, of: NDArray, distances: NDArray, cut: float) -> dict[str, Any]:
    near = distances < cut
    return {"rows": rows[near], "of": of[near], "looked": len(rows), "distances": distances}


def _nearest(
    queries: NDArray, known: NDArray, itself: NDArray | None = None
) -> tuple[NDArray, NDArray]:
    distances, rows = np.empty(len(queries)), np.empty(len(queries), "int64")
    for start in range(0, len(queries), 500):
        part = slice(start, start + 500)
        alike = queries[part] @ known.T
        if itself is not None:
            alike[np.arange(len(alike)), itself[part]] = -np.inf
        rows[part] = alike.argmax(axis=1)
        distances[part] = np.sqrt(np.maximum(2 - 2 * alike.max(axis=1), 0))
    return distances, rows


def _split_evidence(
    exact: NDArray,
    near: dict[str, Any],
    null: dict[str, Any],
    labels: tuple[dict[str, NDArray], dict[str, NDArray]],
    by_chance: float,
) -> Evidence:
    """The evidence; `by_chance` is the share of equal rows that is no more than usual."""
    samples, copies = len(exact), int((exact >= 0).sum())
    low, high = (max(0.0, end - by_chance) for end in share_interval(copies, samples))
    share, expected = (len(one["rows"]) / max(one["looked"], 1) for one in (near, null))
    near_low, near_high = share_interval(len(near["rows"]), near["looked"])
    null_low, null_high = share_interval(len(null["rows"]), null["looked"])
    effect = max(0.0, copies / samples - by_chance)
    if near_low > null_high:  # else there are no more near copies than expected
        left = 1 - effect
        effect += left * (share - expected)
        low += left * (near_low - null_high)
        high = min(1.0, high + left * (near_high - null_low))
    status = status_of((low, high), COPIES_THAT_MATTER) if effect else "absent"
    rows = np.flatnonzero(exact >= 0)
    near_count = len(near["rows"])
    details: SplitDetails = {
        "exact": copies,
        "exact_rows": rows[:LISTED],
        "exact_of": exact[rows][:LISTED],
        "near": near_count,
        "near_rows": near["rows"][:LISTED],
        "near_of": near["of"][:LISTED],
        "near_share": share,
        "near_share_expected": expected,
        "distances": _quantiles(near["distances"]),
        "distances_expected": _quantiles(null["distances"]),
        "equal_by_chance": by_chance,
        "copies_with_other_labels": _other_labels(exact, *labels),
    }
    text = f"{copies} of {samples} validation samples are copies of training samples"
    if near["looked"]:
        text += f"; {100 * share:.1f} % of the others are near copies, "
        text += f"{100 * expected:.1f} % expected"
    elif by_chance:
        text += f"; {100 * by_chance:.1f} % of the training samples are equal to another one, too"
    text += "."
    return Evidence(
        "invalid_split",
        status,
        text,
        effect,
        (low, high),
        null=expected,
        threshold=COPIES_THAT_MATTER,
        unit="share of validation samples",
        samples=samples,
        details=details,
    )


def _quantiles(values: NDArray) -> NDArray:
    return np.quantile(values, np.linspace(0, 1, 21)) if len(values) else values


def _other_labels(
    exact: NDArray, train: dict[str, NDArray], held: dict[str, NDArray]
) -> dict[str, int]:
    """How many exact copies have another label, by task, where both have one."""
    rows = np.flatnonzero(exact >= 0)
    counts = {}
    for task in (name for name in train if name in held):
        first, second = train[task][exact[rows]], held[task][rows]
        both = is_labelled(first) & is_labelled(second)
        counts[task] = int((differ(first, second) & both).sum())
    return counts
