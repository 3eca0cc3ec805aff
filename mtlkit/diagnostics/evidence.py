"""What a probe measured: an effect, its interval, and what it would be without the cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

#: The possible results of a probe, the most important first.
Status = Literal["found", "unclear", "absent", "described", "not_tested"]
STATUSES: tuple[Status, ...] = get_args(Status)
#: Digits behind the point of arrays, as plain data.
_DIGITS = 4


@dataclass(frozen=True)
class Evidence:
    """What one probe measured; its numbers are kept as plain floats.

    Attributes:
        name: What was measured, such as `"uniform_noise"`.
        status: `"found"`: the effect is there, and its interval lies beyond the threshold.
            `"absent"`: it is not there, or too small to matter. `"unclear"`: the data do not
            tell. `"not_tested"`: it was not measured; `text` says why. `"described"`: it
            describes, and there is nothing to find.
        text: What was found, in one sentence.
        effect: The measured effect; `None` where nothing was measured.
        interval: Its confidence interval, which holds the effect.
        null: What the effect would be if the cause were not there.
        threshold: From where on the effect matters.
        p_value: How likely so large an effect is without the cause.
        unit: Unit of the effect, such as `"accuracy"`.
        samples: Number of samples that it was measured on.
        details: Further numbers, and the data of its picture: plain numbers, texts, lists,
            dicts and arrays. `mtlkit.diagnostics.details` has a class for each evidence, which
            names what there is.
        seconds: CPU-seconds that it took.

    Example:
        ```python
        from mtlkit.diagnostics import Evidence

        evidence = Evidence("uniform_noise", "absent", "No label noise.", 0.0, (0.0, 0.01))
        assert not evidence.found
        ```
    """

    name: str
    status: Status
    text: str
    effect: float | None = None
    interval: tuple[float, float] | None = None
    null: float | None = None
    threshold: float | None = None
    p_value: float | None = None
    unit: str = ""
    samples: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(
                f"Expected status to be one of {list(STATUSES)}. Received: status={self.status!r}"
            )
        for name in ("effect", "null", "threshold", "p_value"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(value))
        if self.interval is not None:
            low, high = map(float, self.interval)
            if self.effect is not None and np.isfinite(self.effect):
                # Two ways of estimating may differ a little: an interval holds its estimate.
                low, high = min(low, self.effect), max(high, self.effect)
            object.__setattr__(self, "interval", (low, high))

    @property
    def found(self) -> bool:
        """Whether the effect is there."""
        return self.status == "found"

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain data, ready for JSON."""
        return {name: plain(getattr(self, name)) for name in self.__dataclass_fields__}


def not_tested(name: str, why: str) -> Evidence:
    """Returns the evidence of a probe that was not run."""
    return Evidence(name, "not_tested", why)


def plain(value: Any) -> Any:
    """Turns a value into what JSON knows: numbers that are not finite become `None`."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":  # of pictures, which do not need more
            value = np.round(value.astype("float64"), _DIGITS)
        ready = value.dtype.kind in "iub" or (value.dtype.kind == "f" and np.isfinite(value).all())
        return value.tolist() if ready else plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
