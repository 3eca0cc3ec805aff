"""From evidence to a verdict: a pure function that applies the table of rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mtlkit.diagnostics.causes import NO_SIGNAL, Rule
from mtlkit.diagnostics.evidence import Evidence, plain
from mtlkit.diagnostics.verdict._causes_of import causes_of
from mtlkit.diagnostics.verdict._open_questions import undecidable
from mtlkit.diagnostics.verdict._readings import is_behind, is_unknown
from mtlkit.diagnostics.verdict._reinterpret import reinterpreted
from mtlkit.diagnostics.verdict._sentence import sentence_of

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

    Example:
        ```python
        from mtlkit.diagnostics import Cause

        cause = Cause("uniform_noise", 0.2, (0.17, 0.23))
        assert cause.interval[0] < cause.effect
        ```
    """

    name: str
    effect: float | None = None
    interval: tuple[float, float] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What limits a task.

    Attributes:
        limit: `"data"`, `"model"`, `"mixed"`, `"healthy"` or `"undetermined"`.
        causes: The causes, the largest first.
        sentence: The verdict in words.
        undetermined: Causes among which the data cannot decide.
        missing: What would decide among them.

    Example:
        ```python
        from mtlkit.diagnostics import Verdict

        verdict = Verdict("healthy", (), "Nothing was found that holds it back.")
        assert verdict.to_dict()["limit"] == "healthy"
        ```
    """

    limit: str
    causes: tuple[Cause, ...]
    sentence: str
    undetermined: tuple[str, ...] = ()
    missing: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain data."""
        return plain({**vars(self), "causes": [vars(one) for one in self.causes]})


def decide(evidence: Mapping[str, Evidence], task: str = "the task") -> Verdict:
    """Turns evidence into a verdict.

    Args:
        evidence: What was measured, by name.
        task: Name of the task, for the sentence.

    Returns:
        The verdict: `RULES` applied in turn, then what the data cannot decide.

    Example:
        ```python
        from mtlkit.diagnostics import Evidence, decide

        noise = Evidence("uniform_noise", "found", "A fifth is wrong.", 0.2, (0.17, 0.23))
        verdict = decide({"uniform_noise": noise}, "orientation")
        assert verdict.limit == "data" and verdict.causes[0].name == "uniform_noise"
        ```
    """
    evidence = reinterpreted(evidence)
    found = causes_of(evidence)
    undetermined, missing = undecidable(evidence, found)
    # It is certain that the inputs do not show the labels; only the reason may be open.
    found = [rule for rule in found if rule.cause not in set(undetermined) - {"no_signal"}]
    limit = _limit(evidence, found, undetermined)
    sentence = sentence_of(task, limit, found, evidence, undetermined, missing)
    causes = tuple(_cause(rule, evidence) for rule in found)
    return Verdict(limit, causes, sentence, undetermined, missing)


def _limit(
    evidence: Mapping[str, Evidence], found: list[Rule], undetermined: tuple[str, ...]
) -> str:
    """What limits the task, of `LIMITS`."""
    limits = {rule.limit for rule in found}
    if is_behind(evidence) and not {rule.cause for rule in found} & set(NO_SIGNAL):
        limits.add("model")
    if len(limits) == 2:
        return "mixed"
    if limits:
        return limits.pop()
    # A label that may be given away holds no training back, images of which more detail may help
    # may have no more to show, and a context that the inputs show is for the model to read.
    doubts = set(undetermined) - {"label_leak", "resolution", "needs_context"}
    return "undetermined" if doubts or is_unknown(evidence) else "healthy"


def _cause(rule: Rule, evidence: Mapping[str, Evidence]) -> Cause:
    one = evidence["signal" if rule.cause == "no_signal" else rule.cause]
    return Cause(rule.cause, one.effect, one.interval, one.details)
