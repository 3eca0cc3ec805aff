"""How trials are trained and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How trials are trained and judged.

    Attributes:
        metric: Name of the log that is the score.
        direction: `"max"` or `"min"`.
        others: For each other task the name of its log, and its direction.
        epochs: Epochs of a trial, where the tuner does not say otherwise.
        batch_size: Samples of a batch.
        guard: The share of its skill that another task may lose.
        max_parameters: Weights that a head may have.
        stop_hopeless: Whether to stop trials that are behind most others.
    """

    metric: str
    direction: str
    others: Mapping[str, tuple[str, str]]
    epochs: int
    batch_size: int = 64
    guard: float = 0.05
    max_parameters: int | None = None
    stop_hopeless: bool = True
