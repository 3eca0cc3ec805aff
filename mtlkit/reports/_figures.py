"""What all plots share: colours, a frame, axes and legends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours that people with any kind of colour vision can tell apart (Okabe and Ito), the
#: yellow left out, which is hard to see on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#8a8a8a"
LIGHT = "#d9d9d9"


def new_axes(ax: Axes | None, height: float = 3.6) -> Axes:
    """Returns axes with the frame that all plots have."""
    from matplotlib.figure import Figure

    if ax is None:
        ax = Figure(figsize=(5.6, height), layout="constrained").subplots()
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#e6e6e6", linewidth=0.8)
    ax.set_axisbelow(True)
    return ax


def plain(text: str) -> str:
    """Text as it is, where Matplotlib would read formulas between dollar signs."""
    return text.replace("$", r"\$")


def label_axes(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Names both axes."""
    ax.set_xlabel(plain(xlabel))
    ax.set_ylabel(plain(ylabel))


def log_scale(ax: Axes, ratio: float) -> None:
    """Makes the scale along x logarithmic, with few labels, and those plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < 100 else (1,)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


#: How the score without any skill is drawn.
BASELINE: dict[str, Any] = {"color": GREY, "linestyle": ":"}


def draw_baseline(ax: Axes, baseline: float | None) -> None:
    """Draws the score without any skill as a dotted line, if there is one."""
    if baseline is not None:
        ax.axhline(baseline, **BASELINE)


def draw_legend(ax: Axes, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Draws a legend above the axes."""
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], **style) for style in entries.values()]
    # A leading space, since Matplotlib leaves out names that begin with "_".
    names = [plain(f" {name}") for name in entries]
    ax.legend(
        lines,
        names,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        frameon=False,
        fontsize="small",
        borderaxespad=0.2,
    )
