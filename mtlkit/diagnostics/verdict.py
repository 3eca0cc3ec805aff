"""From evidence to a verdict: a pure function, readable as a table of rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mtlkit.diagnostics.evidence import plain

#: What can limit a task.
LIMITS = ("data", "model", "mixed", "healthy", "undetermined")


@dataclass(frozen=True)
class Cause:
    """One cause of a task's trouble.

    Attributes:
        name: Its name, such as `"uniform_noise"`.
        effect: How large it is, in the unit of its evidence.
        interval: The confidence interval of the effect.
        details: What else is known of it, such as the pairs of classes.
    """

    name: str
    effect: float | None = None
    interval: tuple[float, float] | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What limits a task.

    Attributes:
        limit: `"data"`, `"model"`, `"mixed"`, `"healthy"` or `"undetermined"`.
        causes: The causes, the largest first.
        sentence: The verdict in words.
        undetermined: Causes among which the data cannot decide.
        missing: What would decide among them.
    """

    limit: str
    causes: tuple[Cause, ...]
    sentence: str
    undetermined: tuple[str, ...] = ()
    missing: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain data."""
        return plain({**vars(self), "causes": [vars(one) for one in self.causes]})
