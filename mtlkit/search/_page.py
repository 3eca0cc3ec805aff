"""What a search found, as one HTML page."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from mtlkit._durations import duration
from mtlkit.reports._page import (
    Markup,
    definitions,
    element,
    folded,
    picture,
    save_page,
    table,
)
from mtlkit.reports.search_plots import (
    COST_LABELS,
    plot_costs,
    plot_curves,
    plot_families,
    plot_importance,
)
from mtlkit.search._records import STATUSES

if TYPE_CHECKING:
    from mtlkit.search.result import SearchResult

#: Rows of a table that are shown at once.
_TOP = 15
#: Trials that are named where several have the same message.
_NAMED = 5
#: What a trial that has no place on the leaderboard, or a lesser one, has come to.
_OUTCOMES = {
    "failed": "Failed in training",
    "rejected": "Rejected before training",
    "interrupted": "Interrupted, to be tried again",
    "hopeless": "Stopped early, far behind the others",
}


#: Why some rows have a score and no rank.
_NOT_RANKED = (
    "Without a rank: baselines, and trials that are behind others which had more epochs, so that "
    "their scores do not compare."
)
#: What the settings of a search are called.
_SETUP = {
    "epochs": "epochs of a trial",
    "batch_size": "batch size",
    "data": "fingerprint of the data",
    "freeze_backbone": "frozen backbone",
    "target": "task",
    "set of other tasks": "fingerprint of the other tasks",
}


def save_search_page(result: SearchResult, path: str | os.PathLike[str]) -> None:
    """Writes what a search found as one page, as `SearchResult.save_html` says."""
    sections = [
        _found(result),
        _best(result),
        _leaderboard(result),
        _curves(result),
        _costs(result),
        _importance(result),
        _other_tasks(result),
        _repetitions(result),
        _outcomes(result),
        _making(result),
    ]
    parts = [part for section in sections for part in section]
    save_page(path, f"The head for {result.target}: what the search found", parts)


# === Sections: each a list of parts, empty where there is nothing to show ===


def _found(result: SearchResult) -> list[Markup]:
    lead = [element("p", result.sentence, class_="lead")]
    ranked = _ranked(result)
    if not ranked:
        return lead
    sign = 1 if result.direction == "max" else -1
    ahead = [row for row in ranked if sign * row["score"] > sign * ranked[0]["score"]]
    if ahead:  # those that sacrifice another task are ranked last
        row = max(ahead, key=lambda row: sign * row["score"])
        text = (
            f"{row['head']} (trial {row['trial']}) scores {row['score']:.4g}, but "
            f"{row['status']}: the guard ranks such trials last."
        )
        lead.append(element("p", text))
    repeated = [one for one in result.repetitions if one.trial == result.best_trial.trial]
    if not any(one.scores for one in repeated):
        note = (
            "The best of many scores is partly luck. result.repeat() trains it anew with other "
            "seeds, and shows what is left of it."
        )
        return [*lead, element("p", note, class_="note")]
    return [*lead, *(element("p", f"Trained anew with other seeds: {one}.") for one in repeated)]


def _best(result: SearchResult) -> list[Markup]:
    if not _ranked(result):
        return []
    config = result.best_config
    title = "The best configuration" if result.ahead is None else "The best of the trials"
    short = {name: value for name, value in config.items() if name != "task"}
    return [
        element("h2", title),
        element("pre", result.code()),
        folded(
            "All its settings",
            element("pre", json.dumps(short, indent=2, ensure_ascii=False)),
        ),
        folded(
            "The task, for keras.saving.deserialize_keras_object",
            element("pre", json.dumps(config["task"], indent=2, ensure_ascii=False)),
        ),
    ]


def _leaderboard(result: SearchResult) -> list[Markup]:
    rows = _ranked(result)
    if not rows:
        return []
    shown = [row for row in result.leaderboard if row["score"] is not None]
    others = sorted({task for row in rows for task in row["others"]})
    header = [
        "rank",
        "trial",
        "head",
        "score",
        "parameters",
        "step ms",
        "epochs",
        "seconds",
        "status",
    ]
    cells = [
        [row[name] for name in ("rank", "trial", "head", "score", "parameters", "step_ms")]
        + [row["epochs"], row["seconds"], row["status"]]
        + [row["others"].get(task) for task in others]
        for row in shown
    ]
    header += others
    parts = [element("h2", "Leaderboard")]
    if others:
        parts.append(element("p", f"With the scores of {', '.join(others)}.", class_="note"))
    if any(row["rank"] is None for row in rows):
        parts.append(element("p", _NOT_RANKED, class_="note"))
    parts.append(table(header, cells[:_TOP], strong=[0] if result.ahead is None else []))
    if len(cells) > _TOP:
        parts.append(folded(f"{len(cells) - _TOP} more rows", table(header, cells[_TOP:])))
    axes = plot_families(_trials(result), result.direction, _level(result), _score(result))
    caption = (
        "The scores of each family, with the number of its trials; the bar is their median. "
        f"{_hollow(rows)}{_dotted(result)}"
    )
    return [*parts, picture(axes, caption)]


def _curves(result: SearchResult) -> list[Markup]:
    curves = result.curves()
    if not curves:
        return []
    families = {record.trial: record.family for record in result.trials}
    best = result.best_trial.trial if _ranked(result) else None
    axes = plot_curves(curves, families, best, _level(result), _score(result))
    caption = f"The score after each epoch, one line a trial. {_dotted(result)}"
    return [element("h2", "Learning curves"), picture(axes, caption)]


def _costs(result: SearchResult) -> list[Markup]:
    rows = _ranked(result)
    pictures = []
    for cost in ("parameters", "step_ms"):
        if any(row[cost] is not None for row in rows):
            axes = plot_costs(
                _trials(result), cost, result.direction, _level(result), _score(result)
            )
            caption = f"Score against {COST_LABELS[cost]}. {_hollow(rows)}{_dotted(result)}"
            pictures.append(picture(axes, caption))
    if not pictures:
        return []
    names = ["trial", "head", "score", "parameters", "step_ms"]
    front = [[row[name] for name in names] for row in result.pareto()]
    return [
        element("h2", "Score and cost"),
        element("div", pictures, class_="pictures"),
        element("p", "No other trial is better than these in score, size and speed at once:"),
        table(["trial", "head", "score", "parameters", "step ms"], front),
    ]


def _importance(result: SearchResult) -> list[Markup]:
    if not _ranked(result):
        return []
    heading = element("h2", "What mattered")
    try:
        importance = result.importance()
    except ValueError as error:
        return [heading, element("p", f"The trials do not show it. {error}", class_="note")]
    text = (
        "The share of each argument in the variance of the scores. From few trials, shares come "
        "out too low. Grey: the interval includes zero, and the argument may or may not matter."
    )
    names = ["argument", "share", "low", "high", "trials"]
    rows = [[row[name] for name in names] for row in importance.rows]
    return [
        heading,
        element("p", importance.sentence),
        picture(plot_importance(importance.rows), text),
        folded("As a table", table(names, rows)),
    ]


def _other_tasks(result: SearchResult) -> list[Markup]:
    reference, guard = result.reference_scores, result.setup["guard"]
    if not reference:
        return []
    best = result.best_trial if _ranked(result) else None
    cells = [
        [task, score, None if best is None else best.others.get(task), _guarded(best, task)]
        for task, score in reference.items()
    ]
    text = (
        "Best validation scores of the other tasks: in the model that was trained without "
        f"{result.target}, and in the best trial. A trial that costs one of them more than "
        f"{100 * guard:.3g} % of its score (and, for accuracies, more than chance explains) is "
        "ranked last."
    )
    header = ["task", f"without {result.target}", "best trial", "verdict"]
    return [element("h2", "The other tasks"), element("p", text), table(header, cells)]


def _guarded(best: Any, task: str) -> str:
    if best is None or task not in best.others:
        return "not measured"
    return "sacrificed" if task in best.sacrificed else "kept"


def _repetitions(result: SearchResult) -> list[Markup]:
    rows = [
        [
            one.trial,
            one.epochs,
            len(one.scores),
            one.mean,
            one.half_width,
            ", ".join(f"{score:.4g}" for score in one.scores),
            "; ".join(one.failed),
        ]
        for one in result.repetitions
    ]
    if not rows:
        return []
    header = ["trial", "epochs", "runs", "mean", "± (95 %)", "scores", "failed"]
    return [element("h2", "Trained anew with other seeds"), table(header, rows)]


def _outcomes(result: SearchResult) -> list[Markup]:
    parts = []
    statuses = {record.trial: record.status for record in result.trials}
    for status, title in _OUTCOMES.items():
        rows = [row for row in result.leaderboard if statuses.get(row["trial"]) == status]
        if not rows:
            continue
        by_message = defaultdict(list)
        for row in rows:
            by_message[row["message"] if status != "hopeless" else ""].append(row)
        cells = [
            [len(same), _list(row["trial"] for row in same), _list(row["head"] for row in same)]
            + ([] if status == "hopeless" else [message])
            for message, same in by_message.items()
        ]
        header = ["number", "trials", "heads", *([] if status == "hopeless" else ["message"])]
        parts += [element("h3", f"{title}: {len(rows)}"), table(header, cells[:_TOP])]
        if len(cells) > _TOP:
            parts.append(folded(f"{len(cells) - _TOP} more", table(header, cells[_TOP:])))
    return [element("h2", "Trials that went otherwise"), *parts] if parts else []


def _making(result: SearchResult) -> list[Markup]:
    setup = dict(result.setup)
    space, versions = setup.pop("space", {}), setup.pop("versions", {})
    statuses = [record.status for record in result.trials]
    counts = ", ".join(f"{statuses.count(one)} {one}" for one in STATUSES if one in statuses)
    epochs = sum(record.epochs for record in result.trials)
    cost = {
        "time": duration(result.seconds),
        "trials": f"{len(statuses)} ({counts})" if statuses else "0",
        "epochs trained": f"{epochs:,}",
    }
    made = {_SETUP.get(name, name): value for name, value in setup.items()}
    seeds = {record.trial: record.seed for record in result.trials if record.seed is not None}
    parts = [element("h2", "How it was made"), definitions({**cost, **made, **versions})]
    if seeds:
        listed = ", ".join(f"{trial}: {seed}" for trial, seed in seeds.items())
        parts.append(folded("Seeds of the trials", element("p", listed, class_="note")))
    if space:
        parts.append(folded("What was searched", definitions(space)))
    return parts


# === Their parts ===


def _ranked(result: SearchResult) -> list[dict[str, Any]]:
    return [row for row in _trials(result) if row["score"] is not None]


def _trials(result: SearchResult) -> list[dict[str, Any]]:
    """The rows of all trials: each plot has all families, so that each has one colour."""
    return [row for row in result.leaderboard if row["trial"]]


def _level(result: SearchResult) -> float | None:
    return None if result.baseline is None else result.baseline.score


def _score(result: SearchResult) -> str:
    return result.metric if result.direction == "max" else f"{result.metric} (less is better)"


def _dotted(result: SearchResult) -> str:
    return "" if result.baseline is None else f"Dotted: {result.baseline.name}."


def _hollow(rows: list[dict[str, Any]]) -> str:
    hollow = any(row["sacrificed"] for row in rows)
    return "Hollow: the trial sacrifices another task. " if hollow else ""


def _list(names: Any) -> str:
    """The first few of some names, each once."""
    different = list(dict.fromkeys(names))
    more = len(different) - _NAMED
    return ", ".join(different[:_NAMED]) + (f" and {more} more" if more > 0 else "")
