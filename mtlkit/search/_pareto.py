"""Which trials no other trial beats in everything that counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: What a trial may cost, by the columns of the leaderboard.
COSTS = ("parameters", "step_ms", "seconds")


def pareto_front(
    scores: Sequence[float],
    costs: Sequence[Sequence[float | None]],
    direction: str = "max",
) -> NDArray[np.bool_]:
    """Finds what nothing else beats: nothing is as good everywhere and better somewhere."""
    sign = -1.0 if direction == "max" else 1.0
    rows = [
        [sign * score, *(np.inf if cost is None else cost for cost in own)]
        for score, own in zip(scores, costs, strict=True)
    ]
    table = np.asarray(rows, "float64")
    return np.array([not _beaten(row, table) for row in table], bool)


def _beaten(row: NDArray, table: NDArray) -> bool:
    as_good = (table <= row).all(axis=1)
    better = (table < row).any(axis=1)
    return bool((as_good & better).any())
