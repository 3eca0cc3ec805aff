"""The trials of a search as rows."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

from mtlkit.metrics._text_table import text_table
from mtlkit.search._records import TrialRecord
from mtlkit.search._tuner import described

_SHOWN = ("rank", "trial", "head", "score", "parameters", "step_ms", "epochs", "status")


class Leaderboard(list[dict[str, Any]]):
    """The trials as rows, the best one first, and those without a score last."""

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


def row_of(record: TrialRecord, rank: int | None) -> dict[str, Any]:
    """A trial as a row of the leaderboard."""
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
        "status": "sacrifices " + ", ".join(record.sacrificed)
        if record.sacrificed
        else record.status,
        "sacrificed": record.sacrificed,
        "message": record.message,
        "others": record.others,
        "point": record.point,
    }


def cell(value: Any) -> str:
    """A value as the cell of a table."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
