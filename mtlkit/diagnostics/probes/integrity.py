"""Whether the data are what they seem: clean splits, labels beside their images, no copies."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.diagnostics.checks import checked_images
from mtlkit.diagnostics.evidence import Evidence, skipped
from mtlkit.diagnostics.probes.intervals import bootstrap_interval, share_interval, status_of
from mtlkit.diagnostics.probes.samples import (
    checked_tasks,
    prepared,
    small_images,
    timed,
    unit_vectors,
)
from mtlkit.diagnostics.probes.statistics import ALPHA, holm, least_effect, p_better
from mtlkit.diagnostics.reference import Reference

#: Copies in the validation data lift its accuracy by at most their share: two points matter.
_COPIES_THAT_MATTER = 0.02
#: A near copy is so much nearer than the usual nearest neighbour, by which new images of the
#: same kind are told from images that were saved twice.
_NEAR = 0.25
#: Images whose nearest neighbour is looked for.
_QUERIES = 3000
#: Rows by which labels may have slipped.
_OFFSETS = tuple(range(-5, 6))
#: Stretches of rows that are looked at by themselves, as labels may slip halfway.
_BLOCKS = 10
#: Strength of the regression for all offsets: chosen by none of them, so that none is favoured.
_STRENGTH = 0.1
#: How many indices are listed.
_LISTED = 50


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
        from mtlkit.diagnostics.probes.integrity import splits

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


@timed
def alignment(
    x: ArrayLike,
    y: ArrayLike | Mapping[str, ArrayLike],
    *,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Looks for labels that stand beside the wrong images, a few rows off.

    Labels are moved by -5 to 5 rows, and the reference's score on left-out samples is taken
    for each. It should be best where they are. Stretches of rows are also looked at one by
    one, since a row that was lost moves only those after it.

    Args:
        x: Images, in the order in which they are stored.
        y: Labels, or labels by task.
        reference: A reference of the same images, whose features are shared.
        seed: Seed of a new reference and of the interval.

    Returns:
        Evidence `"misaligned_labels"`; the effect is what the score gains if the labels are
        moved back, that of the task that gains most.

    Raises:
        ValueError: If images or labels are not valid.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.probes.integrity import alignment

        rng = np.random.default_rng(0)
        y = rng.integers(2, size=300)
        x = rng.random((300, 12, 12, 1), dtype="float32")
        x[y == 1, :6] += 1  # class 1 is bright at the top
        assert alignment(x, y).status == "absent"
        found = alignment(x, np.roll(y, 2))
        assert found.found and found.details["offset"] == -2
        ```
    """
    images = checked_images(x)
    scans: dict[str, dict[str, Any]] = {}
    reasons = []
    for task, labels in checked_tasks(y, len(images)).items():
        ready = prepared("misaligned_labels", images, labels, reference, seed, classes_only=False)
        if isinstance(ready, Evidence):
            reasons.append(f"{task}: {ready.text}")
        else:
            reference = ready if reference is None else reference
            scans[task] = _scan(ready)
    if not scans:
        return skipped("misaligned_labels", " ".join(reasons))
    return _alignment_evidence(scans, len(images), seed)


@timed
def duplicates(x: ArrayLike, y: ArrayLike | Mapping[str, ArrayLike]) -> Evidence:
    """Counts images that are there more than once, and those whose copies have other labels.

    Copies with different labels cannot both be learned: they are the most direct evidence of
    noise, or of a task that the image does not decide.

    Args:
        x: Images.
        y: Labels, or labels by task.

    Returns:
        Evidence `"duplicates"`; the effect is the share of images that have an exact copy.

    Raises:
        ValueError: If images or labels are not valid.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.probes.integrity import duplicates

        x = np.random.default_rng(0).random((60, 8, 8, 1), dtype="float32")
        x[30:] = x[:30]
        found = duplicates(x, np.arange(60) // 30)
        assert found.effect == 1.0 and found.details["tasks"]["y"]["conflicting"] == 1.0
        ```
    """
    images = checked_images(x)
    tasks = checked_tasks(y, len(images))
    groups = [rows for rows in _by_bytes(images).values() if len(rows) > 1]
    count, samples = sum(map(len, groups)), len(images)
    conflicts = {task: _conflicts(groups, labels) for task, labels in tasks.items()}
    interval = share_interval(count, samples)
    text = f"{count} of {samples} images have an exact copy."
    for task, one in conflicts.items():
        if one["groups"]:
            text += f" {task}: {one['groups']} of {len(groups)} groups of copies disagree."
    details = {
        "groups": [rows[:_LISTED] for rows in groups[:_LISTED]],
        "num_groups": len(groups),
        "one_shade": int((np.ptp(images, axis=(1, 2, 3)) == 0).sum()),
        "tasks": conflicts,
    }
    return Evidence(
        "duplicates",
        status_of(interval, _COPIES_THAT_MATTER) if count else "absent",
        text,
        count / samples,
        interval,
        null=0.0,
        threshold=_COPIES_THAT_MATTER,
        unit="share of images",
        samples=samples,
        details=details,
    )


def _by_bytes(images: NDArray) -> dict[bytes, list[int]]:
    """The rows of equal images, those of a single shade left aside."""
    rows: dict[bytes, list[int]] = defaultdict(list)
    varied = np.ptp(images, axis=(1, 2, 3)) > 0
    for row in np.flatnonzero(varied):
        # Adding 0 turns -0.0, which is equal to 0.0, into the same bytes.
        rows[hashlib.sha256((images[row] + 0.0).tobytes()).digest()].append(int(row))
    return rows


def _exact_copies(train: NDArray, held: NDArray) -> NDArray[np.int64]:
    """For each held-out image the row of its copy in the training data, or -1."""
    rows = np.full(len(held), -1)
    known = _by_bytes(train)
    for digest, copies in _by_bytes(held).items():
        if digest in known:
            rows[copies] = known[digest][0]
    return rows


def _near_copies(
    train: NDArray, held: NDArray, exact: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Near copies among the held-out images, and the same among training images."""
    different = np.sort([rows[0] for rows in _by_bytes(train).values()])
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
    status = status_of((low, high), _COPIES_THAT_MATTER) if effect else "absent"
    rows = np.flatnonzero(exact >= 0)
    near_count = len(near["rows"])
    details = {
        "exact": copies,
        "exact_rows": rows[:_LISTED],
        "exact_of": exact[rows][:_LISTED],
        "near": near_count,
        "near_rows": near["rows"][:_LISTED],
        "near_of": near["of"][:_LISTED],
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
        threshold=_COPIES_THAT_MATTER,
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
        task: int(_differ(train[task][exact[rows]], held[task][rows]).sum())
        for task in train
        if task in held
    }


def _differ(first: NDArray, second: NDArray) -> NDArray[np.bool_]:
    return np.asarray((first != second).any(axis=tuple(range(1, first.ndim))))


def _conflicts(groups: list[list[int]], labels: NDArray) -> dict[str, Any]:
    """How many groups of copies, and images in them, have labels that differ."""
    differing = [rows for rows in groups if _differ(labels[rows], labels[rows[:1]]).any()]
    images = sum(map(len, groups))
    count = sum(map(len, differing))
    return {
        "groups": len(differing),
        "conflicting": count / images if images else None,
        "interval": share_interval(count, images),
        "rows": [rows[:_LISTED] for rows in differing[:_LISTED]],
    }


def _scan(reference: Reference) -> dict[str, Any]:
    """What each sample scores at each offset."""
    rows = {offset: _scores(reference, np.roll(reference.y, offset, axis=0)) for offset in _OFFSETS}
    moved = [offset for offset in _OFFSETS if offset]
    return {
        "chance": reference.chance if reference.classes else 0.0,
        "rows": rows,
        "mean": {offset: float(one.mean()) for offset, one in rows.items()},
        "p": dict(zip(moved, [p_better(rows[offset], rows[0]) for offset in moved], strict=True)),
    }


def _scores(reference: Reference, labels: NDArray) -> NDArray:
    """Which left-out samples are right; for values, one minus the error over that of the mean."""
    moved = reference.with_labels(labels, reference.num_classes or None)
    left_out = reference.ridge.left_out(moved.targets, _STRENGTH)
    if reference.classes:
        return np.asarray(left_out.argmax(axis=1) == labels)
    spread = np.maximum(moved.targets.var(axis=0), 1e-12)
    return 1 - ((left_out - moved.targets) ** 2 / spread).mean(axis=1)


def _alignment_evidence(scans: dict[str, dict[str, Any]], samples: int, seed: int) -> Evidence:
    corrected = _holm_of(scans, "p")
    blocks = np.array_split(np.arange(samples), _BLOCKS)
    for scan in scans.values():
        scan["block_p"] = {
            (number, offset): p_better(scan["rows"][offset][rows], scan["rows"][0][rows])
            for number, rows in enumerate(blocks)
            for offset in scan["p"]
        }
    block_p = _holm_of(scans, "block_p")
    judged = {
        task: _judge(scan, corrected[task], block_p[task], blocks, seed)
        for task, scan in scans.items()
    }
    worst = max(judged, key=lambda task: (judged[task]["status"] == "found", judged[task]["gain"]))
    one, scan = judged[worst], scans[worst]
    others = [score for offset, score in scan["mean"].items() if offset not in (0, one["offset"])]
    details = {
        "task": worst,
        "offset": one["offset"] if one["status"] == "found" else 0,
        "block_offsets": one["block_offsets"],
        "tasks": {
            task: {"offsets": list(_OFFSETS), "score": [scans[task]["mean"][k] for k in _OFFSETS]}
            | {key: judged[task][key] for key in ("offset", "gain", "p", "status")}
            for task in scans
        },
    }
    return Evidence(
        "misaligned_labels",
        one["status"],
        _alignment_text(worst, one, scan),
        one["gain"],
        one["interval"],
        null=float(np.mean(others)) - scan["mean"][0],
        threshold=one["threshold"],
        p_value=one["p"],
        unit="score",
        samples=samples,
        details=details,
    )


def _holm_of(scans: dict[str, dict[str, Any]], key: str) -> dict[str, dict[Any, float]]:
    """The p-values of all looks at all tasks, corrected together."""
    names = [(task, look) for task, scan in scans.items() for look in scan[key]]
    values = holm([scans[task][key][look] for task, look in names])
    found: dict[str, dict[Any, float]] = {task: {} for task in scans}
    for (task, look), value in zip(names, values, strict=True):
        found[task][look] = float(value)
    return found


def _judge(
    scan: dict[str, Any],
    p: dict[int, float],
    block_p: dict[tuple[int, int], float],
    blocks: list[NDArray],
    seed: int,
) -> dict[str, Any]:
    rows, mean = scan["rows"], scan["mean"]
    best = max(p, key=lambda offset: mean[offset])
    gain, value = rows[best].astype("float64") - rows[0], p[best]
    slipped: dict[int, int] = {}
    for number, look in block_p:
        if block_p[number, look] < ALPHA:
            known = slipped.get(number, look)
            part = blocks[number]
            slipped[number] = max(known, look, key=lambda k: rows[k][part].mean())
    if slipped and not (p[best] < ALPHA and gain.mean() > 0):
        # Not all rows have slipped: count the gain of those that have.
        gain = np.zeros(len(gain))
        for number, offset in slipped.items():
            part = blocks[number]
            gain[part] = rows[offset][part].astype("float64") - rows[0][part]
        value = min(block_p.values())
        best = max(slipped.values(), key=list(slipped.values()).count)
    interval = bootstrap_interval(gain, seed=seed)
    threshold = least_effect(scan["chance"], max(mean.values()))
    # The best of ten offsets gains a little by luck; without significance it is nothing.
    status = status_of(interval, threshold) if value < ALPHA else "absent"
    return {
        "offset": best,
        "gain": float(gain.mean()),
        "interval": interval,
        "threshold": threshold,
        "p": value,
        "status": status,
        "block_offsets": [slipped.get(number, 0) for number in range(len(blocks))],
    }


def _alignment_text(task: str, one: dict[str, Any], scan: dict[str, Any]) -> str:
    if one["status"] == "found":
        slipped = np.count_nonzero(one["block_offsets"])
        part = f" in {slipped} of {_BLOCKS} stretches of rows" if 0 < slipped < _BLOCKS else ""
        return (
            f"The labels of {task} fit their images better if moved by {one['offset']:+d} rows"
            f"{part}: the score gains {one['gain']:.3f}."
        )
    if one["status"] == "absent":
        return f"Labels stand beside their images: no shift gains more than {one['gain']:.3f}."
    return f"Whether the labels of {task} have slipped cannot be told."
