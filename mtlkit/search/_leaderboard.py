"""The trials of a search as rows."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtlkit.metrics._text_table import text_table
from mtlkit.search._baselines import Baseline, no_better
from mtlkit.search._records import TrialRecord
from mtlkit.search._trials import described

_SHOWN = ("rank", "trial", "head", "score", "parameters", "step_ms", "epochs", "status")


class Leaderboard(list[dict[str, Any]]):
    """The trials as rows, the best one first, and those without a score last.

    Baselines stand among them where their score is; they have no rank, no trial, and the status
    `"baseline"`.
    """

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Writes the rows as a CSV file."""
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self[0]) if self else ["trial"])
            writer.writeheader()
            writer.writerows(
                {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()}
                for row in self
            )

    def __str__(self) -> str:
        return text_table(_SHOWN, [[cell(row[name]) for name in _SHOWN] for row in self])


def row_of(
    record: TrialRecord, rank: int | None, constant: Baseline | None = None, direction: str = "max"
) -> dict[str, Any]:
    """A trial as a row of the leaderboard, with what it is if it is no better than a constant."""
    return {
        "rank": rank,
        "trial": record.trial,
        "family": record.family,
        "head": described(record),
        "score": record.score if record.ranked else None,
        "parameters": record.parameters,
        "step_ms": record.step_ms,
        "epochs": record.epochs,
        "seconds": record.seconds,
        "status": _status(record, constant, direction),
        "sacrificed": record.sacrificed,
        "message": record.message,
        "others": record.others,
        "point": record.point,
    }


def row_of_baseline(baseline: Baseline) -> dict[str, Any]:
    """A baseline as a row of the leaderboard."""
    return {
        **row_of(TrialRecord("", "baseline", family="baseline"), None),
        "head": baseline.name,
        "score": baseline.score,
        "epochs": None,
        "seconds": None,
    }


def merged(
    rows: list[dict[str, Any]], baselines: Sequence[Baseline], direction: str
) -> list[dict[str, Any]]:
    """Ranked rows with those of baselines where their score is; sacrificing trials stay last."""
    sign = -1 if direction == "max" else 1
    both = [*map(row_of_baseline, baselines), *rows]
    return sorted(both, key=lambda row: (bool(row["sacrificed"]), sign * row["score"]))


def _status(record: TrialRecord, constant: Baseline | None, direction: str) -> str:
    if record.sacrificed:
        return "sacrifices " + ", ".join(record.sacrificed)
    if not record.ranked or record.score is None:
        return record.status
    return record.status + no_better(record.score, constant, direction)


def cell(value: Any) -> str:
    """A value as the cell of a table."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
