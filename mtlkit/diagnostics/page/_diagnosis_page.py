"""Why a task does not learn, as one HTML page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mtlkit.diagnostics.evidence import STATUSES, Evidence
from mtlkit.diagnostics.evidence import plain as as_data
from mtlkit.diagnostics.page._levels import levels
from mtlkit.diagnostics.page._panels import numbers, panels
from mtlkit.diagnostics.page._words import (
    DESCRIPTIONS,
    EVIDENCE,
    LIMITS,
    RULED_OUT,
    heading,
    interval,
    number,
    p_value,
    title,
)
from mtlkit.reports._page import (
    Markup,
    bullets,
    definitions,
    element,
    folded,
    picture,
    save_page,
    table,
)
from mtlkit.reports.diagnosis_plots import plot_waterfall

if TYPE_CHECKING:
    from mtlkit.diagnostics.diagnosis import Diagnosis, Recommendation
    from mtlkit.diagnostics.verdict import Cause

#: What the unit of most effects on a model means.
_SKILL = "Skill: 0 is chance, or the best constant; 1 is perfect."


def save_diagnosis_page(diagnosis: Diagnosis, path: str | os.PathLike[str]) -> None:
    """Writes a diagnosis as one page that needs no network; see `Diagnosis.save_html`."""
    sections = [
        _verdict(diagnosis),
        _left_open(diagnosis),
        _way(diagnosis),
        _tests(diagnosis),
        _pictures(diagnosis),
        _recommendations(diagnosis),
        _making(diagnosis),
    ]
    parts = [part for section in sections for part in section]
    save_page(path, f"Diagnosis of the task {diagnosis.task}", parts)


# === Sections: each a list of parts, empty where there is nothing to show ===


def _verdict(diagnosis: Diagnosis) -> list[Markup]:
    verdict = diagnosis.verdict
    badge = element(
        "span", LIMITS.get(verdict.limit, verdict.limit), class_=f"badge {verdict.limit}"
    )
    parts = [element("p", [badge, " ", verdict.sentence], class_="lead")]
    for one in _ranked(diagnosis)[:1]:
        parts.append(
            element(
                "p", [element("strong", "What to do first: "), one.text, " ", _gain(diagnosis, one)]
            )
        )
        parts += _code(one)
    if verdict.causes:
        header = ["cause", "effect", "95 % interval", "what was seen"]
        parts.append(table(header, [_cause(diagnosis, cause) for cause in verdict.causes]))
        if any(_unit(diagnosis, cause.name) == "skill" for cause in verdict.causes):
            parts.append(element("p", _SKILL, class_="note"))
    return parts


def _left_open(diagnosis: Diagnosis) -> list[Markup]:
    """What was ruled out, what could not be told, and what was not measured."""
    verdict = diagnosis.verdict
    causes = {EVIDENCE.get(cause.name, cause.name) for cause in verdict.causes}
    others = [one for one in diagnosis.evidence.values() if one.name not in causes]
    ruled_out = [one for one in others if one.status == "absent" and one.name not in DESCRIPTIONS]
    unclear = [one for one in others if one.status == "unclear"]
    not_tested = [one for one in others if one.status == "not_tested"]
    parts = []
    if verdict.undetermined:
        named = " or ".join(title(name) for name in verdict.undetermined)
        text = f"{named}."
        parts.append(element("p", [element("strong", "The data cannot decide between: "), text]))
    if verdict.missing:
        parts.append(element("p", [element("strong", "What would decide: "), verdict.missing]))
    if ruled_out:
        named = ", ".join(RULED_OUT.get(one.name) or title(one.name) for one in ruled_out)
        parts.append(element("p", [element("strong", "Ruled out: "), f"{named}."]))
    parts += _named("Could not be told:", unclear) + _named("Not measured:", not_tested)
    return parts


def _way(diagnosis: Diagnosis) -> list[Markup]:
    """The way from chance to what can be reached, for this task and beside the others."""
    metric, steps = levels(diagnosis)
    tasks = _tasks(diagnosis)
    parts = []
    if len(steps) > 1:
        less = "" if metric != "mae" else " (less is better)"
        metric = {"mae": "mean absolute error"}.get(metric, metric)
        caption = "Each bar begins where the one above it ends. Black lines: 95 % intervals"
        if "model_gap" in diagnosis.evidence:
            caption += "; that of the reference is of its lead over the model, on the same samples"
        parts.append(picture(plot_waterfall(steps, f"{metric}{less}"), f"{caption}."))
    parts += tasks
    return [element("h2", "From chance to what can be reached"), *parts] if parts else []


def _tests(diagnosis: Diagnosis) -> list[Markup]:
    heading_of_all = element("h2", "What was measured")
    if not diagnosis.evidence:
        return [heading_of_all, element("p", "Nothing was measured.")]
    causes = {EVIDENCE.get(cause.name, cause.name) for cause in diagnosis.verdict.causes}
    order = sorted(diagnosis.evidence.values(), key=lambda one: _place(one, causes))
    header = ["evidence", "status", "effect", "null", "matters from", "p", "samples", "CPU s"]
    note = (
        "Null: what the effect would be without the cause. Found: the whole interval lies beyond "
        "the threshold from which on the effect matters. Absent: all of it lies below. Unclear: "
        "the data do not tell. In brackets: 95 % intervals. The causes of the verdict are "
        f"emphasised. {_SKILL}"
    )
    strong = [place for place, one in enumerate(order) if one.name in causes]
    rows = [_test(one) for one in order]
    return [heading_of_all, table(header, rows, strong), element("p", note, class_="note")]


def _pictures(diagnosis: Diagnosis) -> list[Markup]:
    cards, tables = panels(diagnosis), numbers(diagnosis)
    parts = [element("div", cards, class_="cards")] if cards else []
    if tables:
        parts.append(folded("All numbers behind the evidence", *tables))
    return [element("h2", "The evidence"), *parts] if parts else []


def _recommendations(diagnosis: Diagnosis) -> list[Markup]:
    ranked = _ranked(diagnosis)
    if not ranked:
        return []
    items = [
        [
            element("h3", one.text),
            element("p", _against(diagnosis, one), class_="note"),
            *_code(one),
        ]
        for one in ranked
    ]
    return [element("h2", "What to do"), bullets(items, "ol")]


def _making(diagnosis: Diagnosis) -> list[Markup]:
    setup = as_data(dict(diagnosis.setup))
    rows = {name.replace("_", " "): _setting(value) for name, value in setup.items()}
    return [element("h2", "How it was made"), definitions(rows)] if rows else []


# === Their parts ===


def _ranked(diagnosis: Diagnosis) -> list[Recommendation]:
    """The recommendations, the largest measured gain first."""
    return sorted(
        diagnosis.recommendations,
        key=lambda one: (one.gain is None, 0.0 if one.gain is None else -one.gain),
    )


def _gain(diagnosis: Diagnosis, one: Recommendation) -> str:
    if one.gain is None:
        return "Gain: not measured."
    unit = _unit(diagnosis, one.cause)
    parts = [f"{one.gain:+.3g}", interval(one.interval), unit and f"in {unit}"]
    return f"Measured gain: {' '.join(part for part in parts if part)}."


def _against(diagnosis: Diagnosis, one: Recommendation) -> str:
    against = f"Against: {title(one.cause)}. " if one.cause else ""
    return f"{against}{_gain(diagnosis, one)}"


def _unit(diagnosis: Diagnosis, cause: str) -> str:
    """The unit of the evidence of a cause."""
    evidence = diagnosis.evidence.get(EVIDENCE.get(cause, cause))
    return "" if evidence is None else evidence.unit


def _code(one: Recommendation) -> list[Markup]:
    return [element("pre", one.code)] if one.code else []


def _cause(diagnosis: Diagnosis, cause: Cause) -> list[Any]:
    evidence = diagnosis.evidence.get(EVIDENCE.get(cause.name, cause.name))
    name = Markup(element("strong", heading(cause.name)) + _small(cause.name))
    text = "" if evidence is None else evidence.text
    return [
        name,
        _effect(cause.effect, _unit(diagnosis, cause.name)),
        interval(cause.interval),
        text,
    ]


def _named(what: str, evidence: Iterable[Evidence]) -> list[Markup]:
    items = [[element("strong", heading(one.name)), f": {one.text}"] for one in evidence]
    return [element("p", element("strong", what)), bullets(items)] if items else []


def _tasks(diagnosis: Diagnosis) -> list[Markup]:
    """The table of all tasks beside their baselines."""
    evidence = diagnosis.evidence.get("skill")
    rows = {} if evidence is None else evidence.details.get("tasks")
    if not isinstance(rows, Mapping) or not rows:
        return []
    names = ("metric", "score", "interval", "baseline", "baseline_name", "samples", "by")
    header = ["task", "metric", "score", "95 % interval", "without skill", "that is", "samples"]
    cells = [
        [str(task), *(interval(row.get(n)) if n == "interval" else row.get(n) for n in names)]
        for task, row in rows.items()
    ]
    strong = [place for place, task in enumerate(rows) if task == diagnosis.task]
    return [table([*header, "by"], cells, strong)]


def _place(one: Evidence, causes: set[str]) -> tuple[bool, int]:
    return one.name not in causes, STATUSES.index(one.status)


def _test(one: Evidence) -> list[Any]:
    name = Markup(element("span", heading(one.name), title=one.name) + _small(one.text))
    return [
        name,
        one.status.replace("_", " "),
        _effect(one.effect, one.unit, one.interval),
        number(one.null),
        number(one.threshold),
        p_value(one.p_value),
        one.samples,
        f"{one.seconds:.1f}",
    ]


def _effect(value: float | None, unit: str, ends: tuple[float, float] | None = None) -> Markup:
    """An effect, its interval if it has no column of its own, and below its unit."""
    text = f"{number(value)} {interval(ends)}".strip()
    return Markup(element("span", text) + (_small(unit) if text else ""))


def _small(text: str) -> Markup:
    return element("span", text, class_="small") if text else Markup("")


def _setting(value: Any) -> Any:
    """A setting as text: names with their values, or a list."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_setting(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(str(_setting(one)) for one in value) or "none"
    return value
