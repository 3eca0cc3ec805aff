"""The outcome of a diagnosis: verdict, evidence, recommendations."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mtlkit.diagnostics.evidence import STATUSES, Evidence, plain
from mtlkit.diagnostics.verdict import Verdict
from mtlkit.metrics._text_table import text_table


@dataclass(frozen=True)
class Recommendation:
    """What to do about a cause.

    Attributes:
        cause: Name of the cause.
        text: What to do, in one sentence.
        code: The lines that do it.
        gain: What it has been measured to gain, in the unit of the score; `None` where it
            could not be measured.
        interval: Confidence interval of the gain.

    Example:
        ```python
        from mtlkit.diagnostics import Recommendation

        advice = Recommendation("under_trained", "Train for longer.", gain=0.1)
        assert advice.code == ""
        ```
    """

    cause: str
    text: str
    code: str = ""
    gain: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Diagnosis:
    """Why a task does not learn: the verdict, and what it rests on.

    Attributes:
        task: Name of the task.
        verdict: The verdict.
        evidence: What was measured, by name.
        recommendations: What to do, the largest measured gain first.
        setup: How it was made: seed, versions, samples, CPU-seconds, what was left out.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl

        rng = np.random.default_rng(0)
        x = rng.random((400, 8, 8, 1), dtype="float32")
        found = mtl.diagnostics.audit(x, rng.integers(4, size=400), "noise")
        assert "no_signal" in [cause.name for cause in found.verdict.causes]
        print(found)
        ```
    """

    task: str
    verdict: Verdict
    evidence: Mapping[str, Evidence]
    recommendations: tuple[Recommendation, ...] = ()
    setup: Mapping[str, Any] = field(default_factory=dict)

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, if they are known."""
        return self.setup.get("class_names")

    def class_name(self, label: Any) -> str:
        """A class by its name, or by its number; what is a name stays."""
        names = self.class_names or ()
        if isinstance(label, str):
            return label
        number = int(label)
        return str(names[number]) if 0 <= number < len(names) else str(number)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain data."""
        return {
            "task": self.task,
            "verdict": self.verdict.to_dict(),
            "evidence": {name: one.to_dict() for name, one in self.evidence.items()},
            "recommendations": [plain(vars(one)) for one in self.recommendations],
            "setup": plain(dict(self.setup)),
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Returns everything as JSON, and writes it to a file if one is named.

        Args:
            path: The file. `None`: none.

        Returns:
            The text.
        """
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        if path is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return text

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Writes one page that needs no network.

        Args:
            path: The file.
        """
        from mtlkit.diagnostics.page._diagnosis_page import save_diagnosis_page

        save_diagnosis_page(self, path)

    def show(self) -> None:
        """Prints the verdict, what to do, and all evidence."""
        shown, rest = self.parted()
        print("\n".join([*self._said(), "", *self._rows([*shown, *rest])]))

    def __str__(self) -> str:
        """The verdict, what to do, and the evidence that matters, within 100 columns."""
        shown, rest = self.parted()
        lines = [*self._said(), "", *self._rows(shown)]
        if rest:
            lines += ["", f"{len(rest)} more rows: found.show()"]
        return "\n".join(lines)

    def _said(self) -> list[str]:
        """The verdict and the recommendations, in lines."""
        lines = textwrap.wrap(self.verdict.sentence, _WIDTH)
        if self.setup.get("interrupted"):
            lines += ["It was interrupted: what it did not come to is not tested."]
        for number, one in enumerate(self.recommendations, 1):
            gain = "" if one.gain is None else f" (measured gain {_number(one.gain)})"
            lines += ["", *textwrap.wrap(f"{number}. {one.text}{gain}", _WIDTH)]
            lines += [f"       {line}" for line in one.code.splitlines()]
        return lines

    def parted(self) -> tuple[list[Evidence], list[Evidence]]:
        """The evidence that matters, that of causes first, and the rest; each by status."""
        named = self._named()
        order = sorted(
            self.evidence.values(),
            key=lambda one: (one.name not in named, STATUSES.index(one.status)),
        )
        matters = [one for one in order if one.name in named or one.status in MATTER]
        return matters, [one for one in order if not (one.name in named or one.status in MATTER)]

    def _named(self) -> set[str]:
        """Names of the evidence of causes, and of what is left open."""
        causes = {cause.name for cause in self.verdict.causes}
        return {*causes, *self.verdict.undetermined, *({"signal"} if "no_signal" in causes else ())}

    def _rows(self, evidence: Iterable[Evidence]) -> list[str]:
        """A table of evidence, with what was seen below each row."""
        cells = [
            [one.name, one.status.replace("_", " "), _number(one.effect), _interval(one.interval)]
            for one in evidence
        ]
        if not cells:
            return []
        header, rule, *rows = text_table(_HEADER, cells).splitlines()
        lines = [header, rule]
        for row, one in zip(rows, evidence, strict=True):
            lines += [row, *_indented(one.text)]
        return lines


#: Columns of a printed line.
_WIDTH = 100
#: What is printed without being asked for: what was seen, and what may be.
MATTER = ("found", "unclear")
_HEADER = ["evidence", "status", "effect", "95 % interval"]


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="    ")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"[{interval[0]:.3g}, {interval[1]:.3g}]"
