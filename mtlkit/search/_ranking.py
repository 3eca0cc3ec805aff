"""Which trials are ahead: the order of a leaderboard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scipy import stats

from mtlkit.search._baselines import Baseline
from mtlkit.search._records import TrialRecord
from mtlkit.search._training import better

#: Trials that it takes to say that they were too short.
_FEW = 4
#: Pairs of a trial and a longer one that it takes to compare their orders.
_PAIRS = 8


def leaders(records: list[TrialRecord], direction: str) -> list[TrialRecord]:
    """Sorts ranked trials, the best first.

    Those that sacrifice another task, there or once trained for longer, come last, and before them
    those of fewer epochs than a better one: what more epochs would have made of them is not known.
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

    return sorted((_as_known_later(record, records) for record in records), key=key)


def _as_known_later(record: TrialRecord, records: list[TrialRecord]) -> TrialRecord:
    """A record with the tasks that the same head sacrificed once it was trained for longer."""
    for other in records:
        longer = (other.budget or 0) > (record.budget or 0)
        if other.sacrificed and longer and _text(other) == _text(record):
            return replace(record, sacrificed=other.sacrificed)
    return record


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


def too_short_to_rank(
    records: Sequence[TrialRecord], epochs: int, direction: str, constant: Baseline | None
) -> str:
    """Why trials of so many epochs say nothing about which head is better; empty if they do.

    Either most of them are no better than a constant, or the order of those that were trained on
    was another one then.
    """
    short = [one for one in records if one.ranked and one.budget == epochs]
    if constant is not None and len(short) >= _FEW:
        beaten = [constant.is_beaten(one.score or 0.0, direction) for one in short]
        if 2 * sum(beaten) < len(short):
            return f"{len(short) - sum(beaten)} of {len(short)} are no better than {constant.name}"
    longer = {_text(one): one.score for one in records if one.ranked and (one.budget or 0) > epochs}
    pairs = [(one.score, longer[_text(one)]) for one in short if _text(one) in longer]
    if len(pairs) < _PAIRS:
        return ""
    before, after = zip(*pairs, strict=True)
    if len(set(before)) == 1 or len(set(after)) == 1:  # which have no order
        return ""
    correlation = stats.spearmanr(before, after).statistic
    if correlation > 0:
        return ""
    return f"rank correlation with longer ones {correlation:.2f}, of {len(pairs)} trials"


def _text(record: TrialRecord) -> str:
    """What was tried, as text."""
    return json.dumps(record.point, sort_keys=True)
