"""Images that are there more than once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import share_interval
from mtlkit.diagnostics._checks import input_array
from mtlkit.diagnostics._effects import status_of
from mtlkit.diagnostics.data_probes._samples import checked_tasks, timed
from mtlkit.diagnostics.details import DuplicateDetails
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.thresholds import COPIES_THAT_MATTER

#: How many indices are listed.
LISTED = 50


@timed
def duplicates(
    x: ArrayLike, y: ArrayLike | Mapping[str, ArrayLike], *, rows: ArrayLike | None = None
) -> Evidence:
    """Counts images that are there more than once, and those whose copies have other labels.

    Copies with different labels cannot both be learned: they are the most direct evidence of
    noise, or of a task that the image does not decide.

    Args:
        x: Images.
        y: Labels, or labels by task.
        rows: What each sample is numbered in the details. `None`: 0, 1, ...

    Returns:
        Evidence `"duplicates"`; the effect is the share of images that have an exact copy.

    Raises:
        ValueError: If images or labels are not valid.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import duplicates

        x = np.random.default_rng(0).random((60, 8, 8, 1), dtype="float32")
        x[30:] = x[:30]
        found = duplicates(x, np.arange(60) // 30)
        assert found.effect == 1.0 and found.details["tasks"]["y"]["conflicting"] == 1.0
        ```
    """
    images = input_array(x)
    tasks = checked_tasks(y, len(images))
    groups = [rows for rows in rows_by_input(images).values() if len(rows) > 1]
    count, samples = sum(map(len, groups)), len(images)
    numbers = np.arange(samples) if rows is None else np.asarray(rows)
    conflicts = {task: _conflicts(groups, labels, numbers) for task, labels in tasks.items()}
    interval = share_interval(count, samples)
    text = f"{count} of {samples} samples have an exact copy."
    for task, one in conflicts.items():
        if one["groups"]:
            text += f" {task}: {one['groups']} of {len(groups)} groups of copies disagree."
    details: DuplicateDetails = {
        "groups": _listed(groups, numbers),
        "num_groups": len(groups),
        "one_shade": int((np.ptp(images.reshape(samples, -1), axis=1) == 0).sum()),
        "tasks": conflicts,
    }
    return Evidence(
        "duplicates",
        status_of(interval, COPIES_THAT_MATTER) if count else "absent",
        text,
        count / samples,
        interval,
        null=0.0,
        threshold=COPIES_THAT_MATTER,
        unit="share of samples",
        samples=samples,
        details=details,
    )


def rows_by_input(images: NDArray) -> dict[bytes, list[int]]:
    """The rows of equal samples of one type, those of a single shade left aside."""
    rows: dict[bytes, list[int]] = defaultdict(list)
    for row, stored in enumerate(images):
        sample = stored
        if stored.dtype.kind == "f":
            sample = stored.astype("float32") + 0.0  # so -0.0, equal to 0.0, is the same bytes
        if sample.min() != sample.max():
            rows[hashlib.sha256(sample.tobytes()).digest()].append(row)
    return rows


def differ(first: NDArray, second: NDArray) -> NDArray[np.bool_]:
    """Which rows of two arrays of labels differ."""
    return np.asarray((first != second).any(axis=tuple(range(1, first.ndim))))


def _listed(groups: list[list[int]], numbers: NDArray) -> list[list[int]]:
    return [numbers[rows[:LISTED]].tolist() for rows in groups[:LISTED]]


def _conflicts(groups: list[list[int]], labels: NDArray, numbers: NDArray) -> dict[str, Any]:
    """How many groups of copies, and images in them, have labels that differ."""
    differing = [rows for rows in groups if differ(labels[rows], labels[rows[:1]]).any()]
    images = sum(map(len, groups))
    count = sum(map(len, differing))
    return {
        "groups": len(differing),
        "conflicting": count / images if images else None,
        "interval": share_interval(count, images),
        "rows": _listed(differing, numbers),
    }
