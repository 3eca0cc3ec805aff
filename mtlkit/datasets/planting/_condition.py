"""A condition: what is planted, and what should be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from mtlkit.datasets.planting._scene import Layout
from mtlkit.datasets.planting.recipe import Recipe
from mtlkit.datasets.planting.truth import Truth

#: What lists the pairs of classes that are flipped or alike.
Pairs = Callable[[int], tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class Severity:
    """How strong a plant is."""

    default: float
    low: float
    high: float
    sets: str | None = None


@dataclass(frozen=True)
class Condition:
    """A row of the table of conditions."""

    limit: str
    causes: tuple[str, ...] = ()
    undetermined: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    steps: tuple[Callable[..., Any], ...] = ()
    across: Callable[..., Any] | None = None
    layout: Layout = field(default_factory=Layout)
    recipe: Recipe = field(default_factory=Recipe)
    severity: Severity | None = None
    max_samples: int | None = None
    pairs: Pairs | None = None
    details: tuple[tuple[str, Any], ...] = ()

    def chosen_severity(self, name: str, severity: float | None) -> float | None:
        """The severity, checked."""
        if severity is None:
            return None if self.severity is None else self.severity.default
        if self.severity is None:
            raise ValueError(
                f"Expected severity=None for {name!r}, which has no severity. "
                f"Received: severity={severity}"
            )
        if not self.severity.low <= severity <= self.severity.high:
            raise ValueError(
                f"Expected severity in [{self.severity.low:g}, {self.severity.high:g}] for "
                f"{name!r}. Received: severity={severity}"
            )
        return float(severity)

    def truth(self, name: str, severity: float | None, num_bins: int) -> Truth:
        """What a diagnosis should find."""
        noisy = self.severity is not None and self.severity.sets == "noise_rate"
        details = dict(self.details)
        if severity is not None:
            details["severity"] = severity
        return Truth(
            name,
            self.limit,
            self.causes,
            self.undetermined,
            self.allowed,
            self.instead,
            noise_rate=severity if noisy else None,
            pairs=() if self.pairs is None else self.pairs(num_bins),
            details=details,
        )

    def layout_at(self, severity: float | None) -> Layout:
        """The layout of this severity."""
        return _with(self.layout, self.severity, severity)

    def recipe_at(self, severity: float | None) -> Recipe:
        """The recipe of this severity."""
        return _with(self.recipe, self.severity, severity)


def _with(what: Any, severity: Severity | None, value: float | None) -> Any:
    if severity is None or severity.sets is None or not hasattr(what, severity.sets):
        return what
    return replace(what, **{severity.sets: value})
