"""What a preflight finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

#: `"error"`: the task cannot be learned like this. `"warning"`: it is measured to hinder.
#: `"hint"`: it is unusual, and may be meant.
Severity = Literal["error", "warning", "hint"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "hint")


@dataclass(frozen=True)
class Problem:
    """Something that is wired wrong, or may be.

    Attributes:
        name: What it is, such as `"one_unit_softmax"`.
        severity: `"error"`: the task cannot be learned like this. `"warning"`: a measurement
            shows that it hinders. `"hint"`: it is unusual, and may be meant.
        text: What was found, with its number, in one sentence.
        code: The line that mends it; empty if there is no single one.
        task: The task, or the output of a plain model; `None` if it concerns all of them.
        layer: The name of the layer; `None` if it is in none.
        value: The number that was measured; `None` if there is none.

    Example:
        ```python
        from mtlkit.diagnostics import Problem

        problem = Problem("frozen", "error", "No weight is trained.", "model.trainable = True")
        assert problem.task is None
        ```
    """

    name: str
    severity: Severity
    text: str
    code: str = ""
    task: str | None = None
    layer: str | None = None
    value: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain data."""
        return dict(vars(self))
