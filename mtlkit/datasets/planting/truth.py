"""What was planted: the answer that a diagnosis should give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Truth:
    """The known cause of trouble of a planted data set.

    Args:
        name: The condition that was planted.
        limit: `"data"`, `"model"`, `"mixed"`, `"healthy"` or `"undetermined"`.
        causes: The planted causes, all of which a right verdict names.
        undetermined: The causes among which these data cannot decide. With the limit
            `"undetermined"` a right verdict abstains; with another limit it may.
        allowed: Causes that come along with the planted ones: to name them is not wrong, to
            leave them out is not either.
        instead: Causes that say the same in other words: any of them may stand for the planted
            ones.
        noise_rate: The probability with which an orientation label was replaced by another.
        pairs: Pairs of classes that are flipped into each other or look alike.
        details: Whatever else is known, by name.

    Example:
        ```python
        from mtlkit.datasets.planting import Truth

        truth = Truth("uniform_noise", "data", ("uniform_noise",), noise_rate=0.2)
        assert truth.undetermined == ()
        ```
    """

    name: str
    limit: str
    causes: tuple[str, ...] = ()
    undetermined: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    noise_rate: float | None = None
    pairs: tuple[tuple[int, int], ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
