"""Plots of what a search found, from plain rows and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from mtlkit.reports._figures import (
    COLORS,
    GREY,
    MARKERS,
    draw_baseline,
    draw_legend,
    label_axes,
    log_scale,
    new_axes,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What costs are called along an axis.
COST_LABELS = {
    "parameters": "weights of the head",
    "step_ms": "training step (ms)",
    "seconds": "trial (s)",
}
#: More arguments than these are not drawn: the least important ones are left out.
_MAX_BARS = 15


def plot_curves(
    curves: Mapping[str, Sequence[float]],
    families: Mapping[str, str] | None = None,
    best: str | None = None,
    baseline: float | None = None,
    ylabel: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draws learning curves, one line a trial.

    Args:
        curves: By trial a value an epoch, as `SearchResult.curves()` returns them.
        families: By trial the family, which gives the colour. `None`: all have the same one.
        best: The trial to draw on top, in bold. `None`: none.
        baseline: The score without any skill, drawn as a dotted line. `None`: no line.
        ylabel: What the curves show.
        ax: Where to draw. `None`: on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        ValueError: If there is no curve.

    Example:
        ```python
        from mtlkit.reports.search_plots import plot_curves

        ax = plot_curves({"0": [0.1, 0.5], "1": [0.2, 0.3]}, best="0")
        assert len(ax.get_lines()) == 2
        ```
    """
    if not curves:
        raise ValueError("Expected at least one curve. Received: curves={}")
    ax = new_axes(ax)
    own = {trial: (families or {}).get(trial, "trials") for trial in curves}
    styles = _styles((families or own).values())
    for trial, curve in curves.items():
        bold = trial == best
        ax.plot(
            range(1, len(curve) + 1),
            curve,
            color=styles[own[trial]][0],
            linewidth=3 if bold else 1,
            alpha=1 if bold else 0.5,
            marker="o" if bold or len(curve) == 1 else None,
            markersize=5,
            zorder=3 if bold else 2,
        )
    if best is not None and best in curves:
        last = len(curves[best])
        ax.annotate(
            plain(f"trial {best}"),
            (last, curves[best][-1]),
            xytext=(-4, 8),
            textcoords="offset points",
            ha="right",
            fontweight="bold",
        )
    draw_baseline(ax, baseline)
    label_axes(ax, "epoch", ylabel)
    ax.locator_params(axis="x", integer=True)
    if families:
        drawn = set(own.values())
        legend = {name: {"color": color} for name, (color, _) in styles.items() if name in drawn}
        draw_legend(ax, legend)
    return ax


def plot_costs(
    rows: Sequence[Mapping[str, Any]],
    cost: str = "parameters",
    direction: str = "max",
    baseline: float | None = None,
    ylabel: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draws scores against a cost, with the trials that nothing else beats joined by a line.

    Hollow markers are trials that sacrifice another task; they are not on the line.

    Args:
        rows: Rows of a leaderboard. Those without a score, or without the cost, are left out.
        cost: Name of the column that is the cost, such as `"parameters"` or `"step_ms"`.
        direction: Whether the best score is the `"max"` or the `"min"`.
        baseline: As in `plot_curves`.
        ylabel: As in `plot_curves`.
        ax: Where to draw. `None`: on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        ValueError: If no row has both.

    Example:
        ```python
        from mtlkit.reports.search_plots import plot_costs

        rows = [
            {"family": "polar", "score": 0.9, "parameters": 5000, "sacrificed": []},
            {"family": "pool", "score": 0.5, "parameters": 300, "sacrificed": []},
        ]
        ax = plot_costs(rows)
        assert ax.get_xlabel() == "weights of the head"
        ```
    """
    from mtlkit.search._pareto import pareto_front

    shown = [row for row in rows if row["score"] is not None and row[cost] is not None]
    if not shown:
        raise ValueError(f"Expected rows with a score and {cost!r}. Received: {len(rows)} rows")
    ax = new_axes(ax)
    kept = [row for row in shown if not row["sacrificed"]]
    on_front = pareto_front(
        [row["score"] for row in kept], [[row[cost]] for row in kept], direction
    )
    front = sorted((row[cost], row["score"]) for row, on in zip(kept, on_front, strict=True) if on)
    if front:
        ax.plot(*zip(*front, strict=True), drawstyle="steps-post", color=GREY, zorder=1)
    styles = _styles(row["family"] for row in rows)
    for row in shown:
        color, marker = styles[row["family"]]
        face = "none" if row["sacrificed"] else color
        ax.plot(row[cost], row["score"], marker, mfc=face, mec=color, alpha=0.8, ms=7, ls="none")
    costs = [row[cost] for row in shown]
    if min(costs) > 0 and max(costs) > 10 * min(costs):
        log_scale(ax, max(costs) / min(costs))
    draw_baseline(ax, baseline)
    label_axes(ax, COST_LABELS.get(cost, cost), ylabel)
    entries = {n: {"color": c, "marker": m, "linestyle": "none"} for n, (c, m) in styles.items()}
    draw_legend(ax, {**entries, "Pareto front": {"color": GREY}})
    return ax


def plot_families(
    rows: Sequence[Mapping[str, Any]],
    direction: str = "max",
    baseline: float | None = None,
    xlabel: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draws the scores of each family, the family of the best trial on top.

    Each dot is a trial, hollow if it sacrifices another task, and the bar is the family's
    median.

    Args:
        rows: Rows of a leaderboard. Those without a score are left out.
        direction: Whether the best score is the `"max"` or the `"min"`.
        baseline: As in `plot_curves`.
        xlabel: What the scores are.
        ax: Where to draw. `None`: on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        ValueError: If no row has a score.

    Example:
        ```python
        from mtlkit.reports.search_plots import plot_families

        rows = [
            {"family": "polar", "score": 0.9, "sacrificed": []},
            {"family": "pool", "score": 0.5, "sacrificed": []},
        ]
        ax = plot_families(rows)
        assert [text.get_text() for text in ax.get_yticklabels()] == ["polar (1)", "pool (1)"]
        ```
    """
    shown = [row for row in rows if row["score"] is not None]
    if not shown:
        raise ValueError(f"Expected rows with a score. Received: {len(rows)} rows")
    styles = _styles(row["family"] for row in rows)
    own = {name: [row for row in shown if row["family"] == name] for name in styles}
    sign = -1 if direction == "max" else 1
    names = [name for name in own if own[name]]
    names.sort(key=lambda name: min(sign * row["score"] for row in own[name]))
    ax = new_axes(ax, height=1.2 + 0.5 * len(names))
    rng = np.random.default_rng(0)
    for place, name in enumerate(names):
        color, marker = styles[name]
        for row in own[name]:
            height = place + rng.uniform(-0.2, 0.2)
            face = "none" if row["sacrificed"] else color
            ax.plot(row["score"], height, marker, mfc=face, mec=color, alpha=0.7, ms=6)
        median = float(np.median([row["score"] for row in own[name]]))
        ax.plot([median, median], [place - 0.35, place + 0.35], color=color, linewidth=3)
    labels = [plain(f"{name} ({len(own[name])})") for name in names]
    ax.set_yticks(range(len(names)), labels)
    ax.set_ylim(len(names) - 0.4, -0.6)
    if baseline is not None:
        ax.axvline(baseline, color=GREY, linestyle=":")
    label_axes(ax, xlabel, "")
    return ax


def plot_importance(rows: Sequence[Mapping[str, Any]], ax: Axes | None = None) -> Axes:
    """Draws the importance of arguments, with intervals.

    Args:
        rows: As in `SearchResult.importance().rows`. Those beyond the first 15 are not drawn.
        ax: Where to draw. `None`: on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        ValueError: If there are no rows.

    Example:
        ```python
        from mtlkit.reports.search_plots import plot_importance

        ax = plot_importance([{"argument": "learning_rate", "share": 0.6, "low": 0.4, "high": 0.8}])
        assert ax.get_yticklabels()[0].get_text() == "learning_rate"
        ```
    """
    if not rows:
        raise ValueError("Expected at least one argument. Received: rows=[]")
    shown = list(rows)[:_MAX_BARS]
    ax = new_axes(ax, height=1.2 + 0.35 * len(shown))
    for place, row in enumerate(shown):
        sure = row["low"] > 0
        color = COLORS[0] if sure else GREY
        ax.plot([row["low"], row["high"]], [place, place], color=color, linewidth=2)
        ax.plot(row["share"], place, "o", color=color, ms=7)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(shown)), [plain(row["argument"]) for row in shown])
    ax.set_ylim(len(shown) - 0.5, -0.5)
    label_axes(ax, "share of the variance (95 % interval)", "")
    return ax


def _styles(families: Any) -> dict[str, tuple[str, str]]:
    """For each family, in alphabetical order, a colour and a marker."""
    names = sorted(set(families))
    colors, markers = islice(cycle(COLORS), len(names)), islice(cycle(MARKERS), len(names))
    return dict(zip(names, zip(colors, markers, strict=True), strict=True))
