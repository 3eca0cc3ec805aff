"""The picture of interference: cosines as a heat map, lengths over steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mtlkit.callbacks._interference import FEATURES, Place
from mtlkit.reports._figures import COLORS, MARKERS, label_axes, new_axes, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKS = {"conflict": "conflict", "agreement": "agreement", "no claim": "no claim", "unclear": ""}
#: From here on, numbers on a cell are white.
_DARK = 0.6


def drawn(places: Sequence[Place]) -> Figure:
    """Draws a row for each place: mean cosines with marks, and lengths of gradients over steps."""
    from matplotlib.figure import Figure

    tasks = max(len(place.tasks) for place in places)
    size = max(3.2, 0.8 * tasks + 1.2)
    figure = Figure(figsize=(size + 6.4, (size + 0.2) * len(places)), layout="constrained")
    axes = figure.subplots(len(places), 2, squeeze=False, width_ratios=[size, 5])
    for place, (left, right) in zip(places, axes, strict=True):
        where = f"map {place.name}" if place.space == FEATURES else place.name
        _draw_cosines(figure, left, place)
        left.set_title(plain(f"cosines at the {where}"), loc="left", fontweight="bold")
        _draw_norms(right, place)
    return figure


def _draw_cosines(figure: Figure, ax: Any, place: Place) -> None:
    count = len(place.tasks)
    index = {task: number for number, task in enumerate(place.tasks)}
    cosines = np.full((count, count), np.nan)
    marks: dict[tuple[int, int], str] = {}
    for pair in place.pairs:
        row, column = sorted((index[pair.first], index[pair.second]), reverse=True)
        cosines[row, column] = pair.cosine
        marks[row, column] = _MARKS[pair.verdict]
    # Pairs only: the first row and the last column of the square would be empty.
    shown = cosines[1:, :-1]
    image = ax.imshow(shown, vmin=-1, vmax=1, cmap="RdBu", aspect="equal")
    for (row, column), mark in marks.items():
        value = cosines[row, column]
        color = "white" if abs(value) > _DARK else "black"
        text = f"{value:+.2f}" + (f"\n{mark}" if mark else "")
        weight = "bold" if mark in ("conflict", "agreement") else "normal"
        ax.text(
            column,
            row - 1,
            text,
            ha="center",
            va="center",
            color=color,
            fontsize="small",
            fontweight=weight,
        )
    ax.set_xticks(range(count - 1), [plain(task) for task in place.tasks[:-1]], rotation=30)
    for label in ax.get_xticklabels():
        label.set_ha("right")
        label.set_rotation_mode("anchor")
    ax.set_yticks(range(count - 1), [plain(task) for task in place.tasks[1:]])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    figure.colorbar(image, ax=ax, shrink=0.8, label="mean cosine")


def _draw_norms(ax: Any, place: Place) -> None:
    new_axes(ax)
    steps = [row.step for row in place.rows]
    lowest = np.inf
    for number, task in enumerate(place.tasks):
        norms = np.array([row.norms[row.tasks.index(task)] for row in place.rows])
        norms = np.where(norms > 0, norms, np.nan)
        lowest = min(lowest, np.nanmin(norms))
        ax.plot(
            steps,
            norms,
            color=COLORS[number % len(COLORS)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            label=plain(f" {task}"),
        )
    ax.set_yscale("log")
    label_axes(ax, "step", "length of the gradient")
    ax.locator_params(axis="x", integer=True, nbins=6)
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        frameon=False,
        fontsize="small",
        borderaxespad=0.2,
    )
