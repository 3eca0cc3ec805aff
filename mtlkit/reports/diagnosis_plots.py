"""Plots of what the probes of a diagnosis measured, from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.reports._figures import (
    COLORS,
    GREY,
    LIGHT,
    draw_legend,
    label_axes,
    log_scale,
    new_axes,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Numbers in a row.
Numbers = Sequence[float] | NDArray[Any]


@dataclass(frozen=True)
class Level:
    """A score by name, with its interval.

    Attributes:
        name: What has the score.
        value: The score.
        low: Lower end of its interval; `None`: not known.
        high: Upper end.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its interval."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def __str__(self) -> str:
        text = f"{self.value:.3g}"
        if self.interval is not None and self.interval[0] != self.interval[1]:
            text += f" [{self.low:.3g}, {self.high:.3g}]"
        return text


def plot_waterfall(levels: Sequence[Level], xlabel: str = "score", ax: Axes | None = None) -> Axes:
    """Draws how a score gets from chance to what can be reached, step by step.

    The first bar begins at zero, and each other one where the bar above it ends. Black lines
    are intervals.

    Args:
        levels: Chance first, then the model, a reference, what can be reached.
        xlabel: What the scores are.
        ax: Where to draw. `None`: on a new figure.

    Returns:
        The axes that were drawn on.

    Raises:
        ValueError: If there are fewer than two levels.

    Example:
        ```python
        from mtlkit.reports.diagnosis_plots import Level, plot_waterfall

        ax = plot_waterfall([Level("chance", 0.1), Level("model", 0.5, 0.4, 0.6)], "accuracy")
        assert ax.get_xlabel() == "accuracy"
        ```
    """
    if len(levels) < 2:
        raise ValueError(f"Expected at least two levels. Received: levels={list(levels)}")
    ax = new_axes(ax, height=0.8 + 0.55 * len(levels))
    colors = (GREY, COLORS[0], COLORS[1], LIGHT, LIGHT)
    before = 0.0
    for place, level in enumerate(levels):
        color = LIGHT if place == len(levels) - 1 > 1 else colors[place]
        ax.barh(place, level.value - before, left=before, height=0.6, color=color)
        if place:
            ax.plot([before, before], [place - 1, place + 0.3], color="black", linewidth=0.8)
        if level.interval is not None:
            ax.plot(level.interval, [place, place], color="black", linewidth=2)
        before = level.value
    names = [plain(f"{level.name}\n{level}") for level in levels]
    ax.set_yticks(range(len(levels)), names)
    ax.set_ylim(len(levels) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    label_axes(ax, xlabel, "")
    return ax


def plot_null(
    null_scores: Numbers,
    score: float,
    chance: float | None = None,
    xlabel: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draws a score beside those that permuted labels gave."""
    null = np.asarray(null_scores, "float64")
    ax = new_axes(ax, height=2.6)
    ax.hist(null, bins=min(20, max(3, len(null) // 8)), color=GREY)
    ax.axvline(score, color=COLORS[1], linewidth=3)
    entries = {
        "permuted labels": {"color": GREY, "linewidth": 6},
        "labels as they are": {"color": COLORS[1], "linewidth": 3},
    }
    if chance is not None:
        ax.axvline(chance, color="black", linestyle=":")
        entries["chance"] = {"color": "black", "linestyle": ":"}
    draw_legend(ax, entries)
    label_axes(ax, xlabel, "permutations")
    return ax


def plot_ranks(counts: Numbers, ax: Axes | None = None) -> Axes:
    """Draws at which rank of the prediction the given labels are."""
    ax = new_axes(ax, height=2.6)
    ax.bar(range(1, len(counts) + 1), list(counts), color=COLORS[0])
    ax.set_yscale("symlog", linthresh=10)
    ax.locator_params(axis="x", integer=True)
    label_axes(ax, "rank of the given label in the prediction", "samples")
    return ax


def plot_ladder(
    share: Numbers,
    own: Numbers,
    partner: Numbers,
    ax: Axes | None = None,
) -> Axes:
    """Draws how often the label is the predicted class, or the one it is taken for."""
    ax = new_axes(ax, height=2.6)
    percent = 100 * np.asarray(share, "float64")
    ax.plot(percent, own, marker="o", color=COLORS[0])
    ax.plot(percent, partner, marker="s", color=COLORS[1])
    ax.set_ylim(0, 1)
    draw_legend(
        ax,
        {
            "predicted class": {"color": COLORS[0], "marker": "o"},
            "its partner": {"color": COLORS[1], "marker": "s"},
        },
    )
    label_axes(ax, "samples, the clearest first (%)", "share of the labels")
    return ax


def plot_amount(
    samples: Numbers,
    scores: Numbers,
    low: Numbers | None = None,
    high: Numbers | None = None,
    doubling_gain: float | None = None,
    ylabel: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draws a score against the number of samples."""
    ax = new_axes(ax, height=2.6)
    ax.plot(samples, scores, marker="o", color=COLORS[0])
    last = samples[-1]
    if low is not None and high is not None:
        ax.fill_between(samples, low, high, color=COLORS[0], alpha=0.2, linewidth=0)
    if doubling_gain is not None:
        ends = [scores[-1], scores[-1] + doubling_gain]
        ax.plot([last, 2 * last], ends, color=COLORS[1], linestyle="--", marker="o", mfc="none")
        draw_legend(
            ax,
            {
                "measured": {"color": COLORS[0], "marker": "o"},
                "if doubled": {"color": COLORS[1], "linestyle": "--"},
            },
        )
    log_scale(ax, 2 * last / max(samples[0], 1))
    label_axes(ax, "samples", ylabel)
    return ax


def plot_resolution(
    sides: Numbers, scores: Numbers, ylabel: str = "score", ax: Axes | None = None
) -> Axes:
    """Draws a score against the side of the images."""
    ax = new_axes(ax, height=2.6)
    ax.plot(sides, scores, marker="o", color=COLORS[0])
    ax.set_xticks(list(sides))
    ax.margins(y=0.1)
    ax.set_ylim(bottom=min(0.0, *scores))
    label_axes(ax, "side of the images (pixels)", ylabel)
    return ax


def plot_arms(
    arms: Sequence[Level],
    xlabel: str = "score",
    baseline: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws a bar for each of several ways to do something.

    Args:
        arms: Their names and scores.
        xlabel: What the scores are.
        baseline: The score that all of them should be compared with. `None`: no line.
        ax: As in `plot_waterfall`.

    Returns:
        The axes that were drawn on.

    Raises:
        ValueError: If there are none.

    Example:
        ```python
        from mtlkit.reports.diagnosis_plots import Level, plot_arms

        ax = plot_arms([Level("image", 0.2), Level("image and context", 0.4, 0.38, 0.42)])
        assert len(ax.patches) == 2
        ```
    """
    if not arms:
        raise ValueError("Expected at least one arm. Received: arms=[]")
    ax = new_axes(ax, height=0.9 + 0.36 * len(arms))
    for place, arm in enumerate(arms):
        ax.barh(place, arm.value, height=0.6, color=COLORS[0])
        if arm.interval is not None:
            ax.plot(arm.interval, [place, place], color="black", linewidth=2)
    if baseline is not None:
        ax.axvline(baseline, color="black", linestyle=":")
    ax.axvline(0, color="black", linewidth=0.8)
    names = [plain(f"{arm.name}  {arm.value:.3g}") for arm in arms]
    ax.set_yticks(range(len(arms)), names)
    ax.set_ylim(len(arms) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    label_axes(ax, xlabel, "")
    return ax


def plot_runs(
    runs: Mapping[str, Sequence[float]], xlabel: str = "score", ax: Axes | None = None
) -> Axes:
    """Draws the scores of several runs of each arm, with their mean."""
    ax = new_axes(ax, height=0.9 + 0.42 * len(runs))
    for place, scores in enumerate(runs.values()):
        ax.plot(scores, [place] * len(scores), "o", color=COLORS[0], alpha=0.7, ms=7)
        mean = float(np.mean(scores))
        ax.plot([mean, mean], [place - 0.3, place + 0.3], color="black", linewidth=3)
    ax.set_yticks(range(len(runs)), [plain(name) for name in runs])
    ax.locator_params(axis="x", nbins=6)
    ax.set_ylim(len(runs) - 0.5, -0.5)
    label_axes(ax, xlabel, "")
    return ax


def plot_counts(counts: Numbers, ax: Axes | None = None) -> Axes:
    """Draws how many samples each class has."""
    ax = new_axes(ax, height=2.6)
    ax.bar(range(len(counts)), list(counts), color=COLORS[0])
    ax.axhline(float(np.mean(counts)), color="black", linestyle=":")
    ax.grid(visible=False, axis="x")
    ax.locator_params(axis="x", integer=True)
    label_axes(ax, "class", "samples")
    return ax


def plot_reliability(bins: Sequence[tuple[float, float, float]], ax: Axes | None = None) -> Axes:
    """Draws how often predictions are right against how confident they are."""
    confidence, accuracy, samples = np.asarray(bins, "float64").T
    ax = new_axes(ax, height=2.6)
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":")
    ax.plot(confidence, accuracy, color=COLORS[0], linewidth=1)
    area = 10 + 190 * samples / max(samples.max(), 1)
    ax.scatter(confidence, accuracy, s=area, color=COLORS[0], alpha=0.7)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    label_axes(ax, "confidence", "accuracy")
    return ax


def plot_entropy(
    values: Numbers,
    shares: Numbers,
    guess: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the entropy of predictions, as the share of samples below each value."""
    ax = new_axes(ax, height=2.6)
    ax.plot(values, 100 * np.asarray(shares, "float64"), color=COLORS[0], linewidth=2)
    if guess is not None:
        ax.axvline(guess, color="black", linestyle=":")
        draw_legend(ax, {"a guess": {"color": "black", "linestyle": ":"}})
    ax.set_xlim(left=0)
    ax.set_ylim(0, 100)
    label_axes(ax, "entropy of the prediction (bits)", "samples below (%)")
    return ax
