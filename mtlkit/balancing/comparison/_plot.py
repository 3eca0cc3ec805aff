"""The picture of a comparison."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mtlkit.balancing.comparison.result import BETTER, SINGLE, WORSE
from mtlkit.reports._figures import COLORS, GREY, draw_legend, label_axes, new_axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {BETTER: COLORS[0], WORSE: COLORS[1]}


def plot_deltas(found: Any, path: str | os.PathLike[str] | None, ax: Axes | None) -> Axes:
    """Draws `delta_m` by method, in the order of the table."""
    rows = [r for r in found.rows if r["delta_m"] is not None and r["method"] != SINGLE]
    if not rows:
        raise ValueError("Expected a method that has been finished. Received: none")
    ax = new_axes(ax, height=1.3 + 0.4 * len(rows))
    for place, row in enumerate(rows):
        colour = _COLOURS.get(row["verdict"], GREY)
        values = list(found.deltas(row["method"]).values())
        if row["delta_m_interval"] is not None:
            ax.plot(row["delta_m_interval"], [place, place], color=colour, linewidth=2)
        ax.plot(values, [place] * len(values), "o", color=colour, mfc="none", ms=4, alpha=0.8)
        ax.plot(row["delta_m"], place, "D", color=colour, ms=7)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(rows)), [plain(row["method"]) for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    label_axes(ax, "delta_m over single-task models, % (95 % interval over seeds)", "")
    shown = {row["verdict"] for row in rows}
    entries = {
        f"{verdict} than equal weights": {"color": colour, "marker": "D"}
        for verdict, colour in _COLOURS.items()
        if verdict in shown
    }
    if entries:
        draw_legend(ax, entries)
    if path is not None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        figure: Any = ax.figure
        if figure.canvas is None:
            FigureCanvasAgg(figure)
        figure.savefig(path, dpi=150)
    return ax
