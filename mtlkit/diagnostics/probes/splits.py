"""Validation images that are in the training data, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.diagnostics.checks import checked_images
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.probes.duplicates import (
    COPIES_THAT_MATTER,
    LISTED,
    differ,
    rows_by_image,
)
from mtlkit.diagnostics.probes.intervals import share_interval, status_of
from mtlkit.diagnostics.probes.samples import checked_tasks, small_images, timed, unit_vectors

#: A near copy is so much nearer than the usual nearest neighbour, by which new images of the
#: same kind are told from images that were saved twice.
_NEAR = 0.25
#: Images whose nearest neighbour is looked for.
_QUERIES = 3000


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
        y: Training labels, or labels by task.
        x_val: Validation images.
        y_val: Validation labels, or labels by task.
        seed: Seed of the images that are looked at, where there are many.

    Returns:
        Evidence `"invalid_split"`; the effect is the share of validation images that are copies.

    Raises:
        ValueError: If images or labels are not valid, or images differ in shape.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.probes.splits import splits

        x = np.random.default_rng(0).random((200, 12, 12, 1), dtype="float32")
        y = np.arange(200) % 4
        assert splits(x[:100], y[:100], x[100:], y[100:]).status == "absent"
        assert splits(x, y, x[150:], y[150:]).found
        ```
    """
    train, held = checked_images(x), checked_images(x_val, "x_val")
    if train.shape[1:] != held.shape[1:]:
        raise ValueError(
            "Expected training and validation images of one shape. "
            f"Received: {train.shape[1:]} and {held.shape[1:]}"
        )
    labels = checked_tasks(y, len(train)), checked_tasks(y_val, len(held))
    exact = _exact_copies(train, held)
    near, null = _near_copies(train, held, exact >= 0, np.random.default_rng(seed))
    return _split_evidence(exact, near, null, labels)


def _exact_copies(train: NDArray, held: NDArray) -> NDArray[np.int64]:
    """For each held-out image the row of its copy in the training data, or -1."""
    rows = np.full(len(held), -1)
    known = rows_by_image(train)
    for digest, copies in rows_by_image(held).items():
        if digest in known:
            rows[copies] = known[digest][0]
    return rows


def _near_copies(
    train: NDArray, held: NDArray, exact: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Near copies among the held-out images, and the same among training images."""
    different = np.sort([rows[0] for rows in rows_by_image(train).values()])
    known = unit_vectors(small_images(train[different])) if len(different) > 1 else None
    varied = np.flatnonzero(~exact & (np.ptp(held, axis=(1, 2, 3)) > 0))
    if known is None or not len(varied):
        empty = {"rows": varied[:0], "of": varied[:0], "looked": 0, "distances": np.zeros(0)}
        return empty, empty
    some = np.sort(rng.permutation(len(known))[:_QUERIES])
    usual, usual_of = _nearest(known[some], known, itself=some)
    cut = _NEAR * float(np.median(usual))
    asked = np.sort(rng.permutation(varied)[:_QUERIES])
    found, found_of = _nearest(unit_vectors(small_images(held[asked])), known)
    return (
        _near(asked, different[found_of], found, cut),
        _near(different[some], different[usual_of], usual, cut),
    )


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
) -> Evidence:
    samples, copies = len(exact), int((exact >= 0).sum())
    low, high = share_interval(copies, samples)
    share, expected = (len(one["rows"]) / max(one["looked"], 1) for one in (near, null))
    near_low, near_high = share_interval(len(near["rows"]), near["looked"])
    null_low, null_high = share_interval(len(null["rows"]), null["looked"])
    effect = copies / samples
    if near_low > null_high:  # else there are no more near copies than expected
        left = 1 - effect
        effect += left * (share - expected)
        low += left * (near_low - null_high)
        high = min(1.0, high + left * (near_high - null_low))
    status = status_of((low, high), COPIES_THAT_MATTER) if effect else "absent"
    rows = np.flatnonzero(exact >= 0)
    near_count = len(near["rows"])
    details = {
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
        "copies_with_other_labels": _other_labels(exact, *labels),
    }
    text = f"{copies} of {samples} validation images are copies of training images"
    text += f"; {100 * share:.1f} % of the others are near copies, {100 * expected:.1f} % expected."
    return Evidence(
        "invalid_split",
        status,
        text,
        effect,
        (low, high),
        null=expected,
        threshold=COPIES_THAT_MATTER,
        unit="share of validation images",
        samples=samples,
        details=details,
    )


def _quantiles(values: NDArray) -> NDArray:
    return np.quantile(values, np.linspace(0, 1, 21)) if len(values) else values


def _other_labels(
    exact: NDArray, train: dict[str, NDArray], held: dict[str, NDArray]
) -> dict[str, int]:
    rows = np.flatnonzero(exact >= 0)
    return {
        task: int(differ(train[task][exact[rows]], held[task][rows]).sum())
        for task in train
        if task in held
    }
