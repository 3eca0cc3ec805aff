"""Labels that stand beside the wrong images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import bootstrap_interval, holm, p_better
from mtlkit.diagnostics._checks import LEAST_SAMPLES, checked_inputs
from mtlkit.diagnostics._effects import least_effect, status_of
from mtlkit.diagnostics.data_probes._samples import checked_labels, prepared, timed
from mtlkit.diagnostics.details import AlignmentDetails
from mtlkit.diagnostics.evidence import Evidence, not_tested
from mtlkit.diagnostics.thresholds import ALPHA, SLIPPED
from mtlkit.metrics._labels import is_labelled
from mtlkit.references.reference import Reference

#: Rows by which labels may have slipped.
_OFFSETS = tuple(range(-5, 6))
#: Stretches of rows that are looked at by themselves, as labels may slip halfway.
_BLOCKS = 10


@timed
def alignment(
    x: ArrayLike,
    y: ArrayLike | Mapping[str, ArrayLike],
    *,
    rows: ArrayLike | None = None,
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
        rows: Which of the labels are those of `x`, by number, where `y` holds those of more
            samples, in the order in which they are stored; of the others they may be missing.
            So the label that was beside an image is known, whatever images are looked at.
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
        from mtlkit.diagnostics.data_probes import alignment

        rng = np.random.default_rng(0)
        y = rng.integers(2, size=300)
        x = rng.random((300, 12, 12, 1), dtype="float32")
        x[y == 1, :6] += 1  # class 1 is bright at the top
        assert alignment(x, y).status == "absent"
        found = alignment(x, np.roll(y, 2))
        assert found.found and found.details["offset"] == -2
        ```
    """
    images = checked_inputs(x)
    used = np.arange(len(images)) if rows is None else np.asarray(rows)
    scans: dict[str, dict[str, Any]] = {}
    reasons = []
    for task, given in (y if isinstance(y, Mapping) else {"y": y}).items():
        stored = np.asarray(given)
        labels = checked_labels(given if rows is None else stored[used], len(images), str(task))
        ready = prepared("misaligned_labels", images, labels, reference, seed, classes_only=False)
        if isinstance(ready, Evidence):
            reasons.append(f"{task}: {ready.text}")
            continue
        reference = ready if reference is None else reference
        scan = _scan(ready, stored, used)
        if scan["p"]:
            scans[str(task)] = scan
        else:
            reasons.append(f"{task}: No labelled image has another one within {_OFFSETS[-1]} rows.")
    if not scans:
        return not_tested("misaligned_labels", " ".join(reasons))
    return _alignment_evidence(scans, len(images), seed)


def _scan(reference: Reference, stored: NDArray, used: NDArray) -> dict[str, Any]:
    """What each sample scores at each offset; where no label stood, as much as it does now."""
    labels = {offset: np.roll(stored, offset, axis=0)[used] for offset in _OFFSETS}
    known = {offset: _known(reference, one) for offset, one in labels.items()}
    now = _scores(reference, reference.y, known[0])
    rows = {
        offset: np.where(known[offset], _scores(reference, one, known[offset]), now)
        for offset, one in labels.items()
        if known[offset].any()
    }
    moved = [offset for offset in rows if offset]
    return {
        "series": _is_series(reference, stored),
        "chance": reference.chance if reference.classes else 0.0,
        "rows": rows,
        "known": known,
        "mean": {offset: float(one[known[offset]].mean()) for offset, one in rows.items()},
        "p": dict(zip(moved, [p_better(rows[offset], rows[0]) for offset in moved], strict=True)),
    }


def _known(reference: Reference, labels: NDArray) -> NDArray[np.bool_]:
    """Which samples have a label that the reference knows."""
    known = is_labelled(labels)
    return known & (labels < reference.num_classes) if reference.classes else known


def _scores(reference: Reference, labels: NDArray, known: NDArray[np.bool_]) -> NDArray:
    """Which left-out samples are right; for values, one minus the error over that of the mean."""
    labels = np.where(known.reshape(-1, *[1] * (labels.ndim - 1)), labels, 0)
    targets = reference.with_labels(labels, reference.num_classes or None).targets
    if not known.all():
        targets[~known] = targets[known].mean(axis=0)  # so it pulls nowhere
    # The same strength for all offsets, chosen by none of them: it favours none.
    left_out = reference.predictor.left_out(targets, reference.predictor.usual_strength)
    if reference.classes:
        return np.asarray(left_out.argmax(axis=1) == labels)
    spread = np.maximum(targets[known].var(axis=0), 1e-12)
    return 1 - ((left_out - targets) ** 2 / spread).mean(axis=1)


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
    details: AlignmentDetails = {
        "task": worst,
        "offset": one["offset"] if one["status"] == "found" else 0,
        "block_offsets": one["block_offsets"],
        "tasks": {
            task: {
                "offsets": list(scans[task]["mean"]),
                "score": list(scans[task]["mean"].values()),
            }
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
        null=float(np.mean(others)) - scan["mean"][0] if others else 0.0,
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
    gain, value = (rows[best].astype("float64") - rows[0])[scan["known"][best]], p[best]
    slipped: dict[int, int] = {}
    for number, look in block_p:
        if block_p[number, look] < ALPHA:
            known = slipped.get(number, look)
            part = blocks[number]
            slipped[number] = max(known, look, key=lambda k: rows[k][part].mean())
    if slipped and not (p[best] < ALPHA and gain.mean() > 0):
        # Not all rows have slipped: count the gain of those that have.
        gain = np.zeros(len(rows[0]))
        for number, offset in slipped.items():
            part = blocks[number]
            gain[part] = rows[offset][part].astype("float64") - rows[0][part]
        value = min(block_p.values())
        best = max(slipped.values(), key=list(slipped.values()).count)
    interval = bootstrap_interval(gain, seed=seed)
    threshold = least_effect(scan["chance"], max(mean.values()))
    # The best of ten offsets gains a little by luck; without significance it is nothing.
    status = status_of(interval, threshold) if value < ALPHA else "absent"
    if status == "found" and scan["series"] and _fits_as_it_is(scan, max(mean.values())):
        status = "unclear"
    return {
        "offset": best,
        "gain": float(gain.mean()),
        "interval": interval,
        "threshold": threshold,
        "p": value,
        "status": status,
        "block_offsets": [slipped.get(number, 0) for number in range(len(blocks))],
    }


def _fits_as_it_is(scan: dict[str, Any], best: float) -> bool:
    """Whether labels are read well where they stand, too."""
    return best - scan["chance"] < SLIPPED * (scan["mean"][0] - scan["chance"])


def _is_series(reference: Reference, labels: NDArray) -> bool:
    """Whether the labels of neighbouring rows are alike."""
    if not reference.classes:
        values = np.asarray(labels, "float64").reshape(len(labels), -1)[:, 0]
        both = ~np.isnan(values[:-1]) & ~np.isnan(values[1:])
        pairs = values[:-1][both], values[1:][both]
        if len(pairs[0]) < LEAST_SAMPLES or min(np.std(one) for one in pairs) == 0:
            return False
        return bool(np.corrcoef(*pairs)[0, 1] > 3 / np.sqrt(len(pairs[0])))
    both = (labels[:-1] >= 0) & (labels[1:] >= 0)
    shares = np.bincount(labels[labels >= 0].astype("int64")) / max((labels >= 0).sum(), 1)
    expected = float((shares**2).sum())
    found = float((labels[:-1] == labels[1:])[both].mean()) if both.any() else 0.0
    spread = np.sqrt(expected * (1 - expected) / max(both.sum(), 1))
    return bool(found > expected + 3 * spread)


def _alignment_text(task: str, one: dict[str, Any], scan: dict[str, Any]) -> str:
    if one["status"] == "found":
        slipped = np.count_nonzero(one["block_offsets"])
        part = f" in {slipped} of {_BLOCKS} stretches of rows" if 0 < slipped < _BLOCKS else ""
        return (
            f"The labels of {task} fit their samples better if moved by {one['offset']:+d} rows"
            f"{part}: the score gains {one['gain']:.3f}."
        )
    if one["status"] == "absent":
        return f"Labels did not slip by a few rows: no shift gains more than {one['gain']:.3f}."
    return (
        f"Moved by {one['offset']:+d} rows, the labels of {task} score {one['gain']:.3f} more: "
        "they have slipped, or rows look ahead or back in time."
    )
