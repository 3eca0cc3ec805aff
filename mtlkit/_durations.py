"""Durations in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Returns a duration such as `"1 h 5 min"`, `"2 min 5 s"` or `"12 s"`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else rest, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"
