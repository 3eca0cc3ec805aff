"""What a search found, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtlkit.search._baselines import Baseline, no_better

if TYPE_CHECKING:
    from mtlkit.search.result import SearchResult


def sentence_of(result: SearchResult) -> str:
    """Says which head is the best, or that none is ahead of what is simple."""
    rows = [row for row in result.leaderboard if row["trial"] and row["score"] is not None]
    if not rows:
        return f"None of the {len(result.trials)} trials for the task {result.target} has a score."
    best, constant, ahead = rows[0], result.baseline, result.ahead
    trials = f"the best of {len(rows)} trials with a score"
    if len(rows) == 1:
        trials = "the only trial with a score"
    if constant is not None and no_better(best["score"], constant, result.direction):
        return (
            f"No head learned the task {result.target}: {trials}, {_scored(result, best)}, is no "
            f"better than {_baseline(constant)}. {_what_to_do(result)}"
        )
    if ahead is not None and best["score"] == ahead.score:
        return (
            f"The best head for the task {result.target} is {_scored(result, best)}, {trials}; "
            f"{_baseline(ahead)}, which is simpler, does as well."
        )
    if ahead is not None:
        return (
            f"No head for the task {result.target} is ahead of {_baseline(ahead)}: {trials} is "
            f"{_scored(result, best)}. {_what_to_do(result)}"
        )
    text = f"The best head for the task {result.target} is {_scored(result, best)}"
    beside = _beside(result, best["score"])
    if beside:
        text += f" ({beside})"
    text += f", {trials}"
    if best["sacrificed"]:
        text += f"; like all others, it sacrifices {', '.join(best['sacrificed'])}"
    return f"{text}."


def _scored(result: SearchResult, row: dict[str, Any]) -> str:
    return f"{row['head']} (trial {row['trial']}): {result.metric} {row['score']:.4g}"


def _baseline(one: Baseline) -> str:
    return f"{one.name} ({one.score:.4g})"


def _beside(result: SearchResult, score: float) -> str:
    """The interval of a score, and what simple predictors have."""
    constant, best = result.baseline, result.best_baseline
    if constant is None:
        return ""
    interval = constant.interval(score)
    parts = [] if interval is None else [f"95 % interval {interval[0]:.3g} to {interval[1]:.3g}"]
    shown = [constant] if best is None or best == constant else [constant, best]
    parts += [f"{one.name} {one.score:.4g}" for one in shown]
    return ", ".join([*parts, f"{constant.samples:,} samples"])


def _what_to_do(result: SearchResult) -> str:
    return (
        "To see what holds the task back (the head, the backbone, the training, the other tasks or "
        "the data), run mtlkit.diagnostics.diagnose(result.best_model(), x, y, "
        f"{result.target!r}, validation_data=(x_val, y_val))."
    )
