"""Which trials are ahead: the order of a leaderboard."""

from __future__ import annotations

from typing import Any

from mtlkit.search._records import TrialRecord
from mtlkit.search._training import better


def leaders(records: list[TrialRecord], direction: str) -> list[TrialRecord]:
    """Sorts ranked trials, the best first.

    Those that sacrifice another task come last, and before them those of fewer epochs than a
    better one: what more epochs would have made of them is not known.
    """
    sign = -1 if direction == "max" else 1
    short = too_short(records, direction)

    def key(record: TrialRecord) -> tuple[Any, ...]:
        longest_first = -(record.budget or 0) if record.trial in short else 0
        return (
            bool(record.sacrificed),
            record.trial in short,
            longest_first,
            sign * (record.score or 0.0),
            record.trial,
        )

    return sorted(records, key=key)


def too_short(records: list[TrialRecord], direction: str) -> set[str]:
    """The trials that are behind others which were given more epochs: scores do not compare.

    A trial that is ahead with fewer epochs is ahead.
    """
    return {
        one.trial
        for one in records
        if any(
            not other.sacrificed
            and (other.budget or 0) > (one.budget or 0)
            and better(other.score or 0.0, one.score or 0.0, direction)
            for other in records
        )
    }
