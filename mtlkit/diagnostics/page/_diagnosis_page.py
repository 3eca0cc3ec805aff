"""Why a task does not learn, as one HTML page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mtlkit.diagnostics.diagnosis import MATTER
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.evidence import plain as as_data
from mtlkit.diagnostics.page._levels import levels
from mtlkit.diagnostics.page._panels import numbers, panels
from mtlkit.diagnostics.page._words import (
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

#: Evidence that is folded away, and under which title.
_FOLDED = {
    "absent": "Looked for, and not there",
    "not_tested": "Not tested",
    "described": "Descriptions",
}
_HOW_TO_READ = (
    "Found: the whole 95 % interval of the effect, in brackets, lies beyond the threshold from "
    "which on it matters. Absent: all of it lies below, and the effect would have been seen. "
    "Unclear: the data do not decide."
)
#: What the unit of most effects on a model means.
_SKILL = "Skill: 0 is chance, or the best constant; 1 is perfect."


def save_diagnosis_page(diagnosis: Diagnosis, path: str | os.PathLike[str]) -> None:
    """Writes a diagnosis as one page that needs no network; see `Diagnosis.save_html`."""
    sections = [
        _verdict(diagnosis),
        _recommendations(diagnosis),
        _way(diagnosis),
        _left_open(diagnosis),
        _tests(diagnosis),
        _pictures(diagnosis),
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
    if diagnosis.setup.get("interrupted"):
        text = "The diagnosis was interrupted: what it did not come to is not measured."
        parts.append(element("p", element("strong", text)))
    return parts


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


def _left_open(diagnosis: Diagnosis) -> list[Markup]:
    """What the data cannot decide, and what would."""
    verdict = diagnosis.verdict
    if not verdict.undetermined and not verdict.missing:
        return []
    parts = [element("h2", "What is open")]
    if verdict.undetermined:
        named = bullets(heading(name) for name in verdict.undetermined)
        parts += [element("p", "The evidence cannot decide between:"), named]
    if verdict.missing:
        parts.append(
            element("p", [element("strong", "What would decide: "), f"{verdict.missing}."])
        )
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
    """A row for each piece of evidence, which unfolds; what matters first, the rest folded away."""
    parts = [element("h2", "What was measured")]
    if not diagnosis.evidence:
        return [*parts, element("p", "Nothing was measured.")]
    shown, rest = diagnosis.parted()
    parts += [_row(one) for one in shown]
    for status, what in _FOLDED.items():
        rows = [_row(one) for one in rest if one.status == status]
        if rows:
            parts.append(folded(f"{what} ({len(rows)})", *rows))
    return [*parts, element("p", f"{_HOW_TO_READ} {_SKILL}", class_="note")]


def _pictures(diagnosis: Diagnosis) -> list[Markup]:
    cards, tables = panels(diagnosis), numbers(diagnosis)
    parts = [element("div", cards, class_="cards")] if cards else []
    if tables:
        parts.append(folded("All numbers behind the evidence", *tables))
    return [element("h2", "The evidence"), *parts] if parts else []


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


def _row(one: Evidence) -> Markup:
    """Status, name and size of an effect; on a click what was seen, and all its numbers."""
    size = f"{number(one.effect)} {interval(one.interval)} {one.unit}".strip()
    summary = [
        element("span", one.status.replace("_", " "), class_=f"badge {one.status}"),
        element("span", heading(one.name), class_="what", title=one.name),
        element("span", size if one.effect is not None else "", class_="size"),
    ]
    known = {
        "without the cause": number(one.null),
        "matters from": number(one.threshold),
        "p": p_value(one.p_value),
        "samples": "" if one.samples is None else f"{one.samples:,}",
        "CPU-seconds": f"{one.seconds:.1f}",
    }
    numbers = "; ".join(f"{name} {value}" for name, value in known.items() if value)
    text = RULED_OUT.get(one.name, one.text) if one.status == "absent" else one.text
    parts = [
        element("p", text),
        element("p", f"{numbers[:1].upper()}{numbers[1:]}.", class_="note"),
    ]
    return folded(summary, *parts, class_="row", opened=one.status in MATTER)


def _setting(value: Any) -> Any:
    """A setting as text: names with their values, or a list."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_setting(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(str(_setting(one)) for one in value) or "none"
    return value
