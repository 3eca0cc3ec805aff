"""Hierarchies as text and as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Tree(Protocol):
    """What a drawing reads of a hierarchy; its root is node -1."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def stability(self) -> float | None: ...
    @property
    def num_leaves(self) -> int: ...
    @property
    def num_nodes(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def depths(self) -> np.ndarray: ...
    @property
    def children(self) -> Mapping[int, Sequence[int]]: ...


def to_text(hierarchy: Tree) -> str:
    """Writes a hierarchy as an indented tree; classes with their numbers in brackets.

    A class that is named by its number has no brackets.
    """
    groups = hierarchy.num_nodes - hierarchy.num_leaves
    title = f"{hierarchy.num_leaves} classes, {groups} groups, {hierarchy.depth} levels"
    if hierarchy.stability is not None:
        title += f", stability {hierarchy.stability:.2f} (adjusted Rand index)"
    return "\n".join([title, *_lines(hierarchy, -1, "")])


def _lines(hierarchy: Tree, node: int, indent: str) -> list[str]:
    lines = []
    children = hierarchy.children[node]
    for child in children:
        last = child == children[-1]
        name = hierarchy.names[child]
        shown = child < hierarchy.num_leaves and name != str(child)
        number = f" ({child})" if shown else ""
        lines.append(f"{indent}{'└── ' if last else '├── '}{name}{number}")
        if child in hierarchy.children:
            lines += _lines(hierarchy, child, indent + ("    " if last else "│   "))
    return lines


def plot(hierarchy: Tree, path: str | Path | None = None, ax: Axes | None = None) -> Axes:
    """Draws a hierarchy from left (the root) to right (the classes)."""
    from matplotlib.figure import Figure

    if ax is None:
        size = (2.2 + 1.8 * hierarchy.depth, max(2.0, 0.6 + 0.22 * hierarchy.num_leaves))
        ax = Figure(figsize=size, layout="constrained").subplots()
    heights: dict[int, float] = {}
    _place(hierarchy, -1, heights)
    for node, children in hierarchy.children.items():
        x = _column(hierarchy, node)
        ends = [heights[child] for child in children]
        ax.plot([x, x], [min(ends), max(ends)], color="0.6", linewidth=1)
        for child in children:
            ax.plot([x, _column(hierarchy, child)], [heights[child]] * 2, color="0.6", linewidth=1)
    for node, name in enumerate(hierarchy.names):
        leaf = node < hierarchy.num_leaves
        ax.annotate(
            name,
            (_column(hierarchy, node), heights[node]),
            xytext=(3, 0) if leaf else (-3, 2),
            textcoords="offset points",
            ha="left" if leaf else "right",
            va="center" if leaf else "bottom",
            fontsize=8 if leaf else 7,
            color="black" if leaf else "tab:blue",
        )
    ax.set_xlim(-0.05, hierarchy.depth + 0.6)
    ax.invert_yaxis()  # the first class on top, as in the text
    ax.set_axis_off()
    if path is not None:
        figure = ax.get_figure(root=True)
        if figure is not None:
            figure.savefig(path, bbox_inches="tight")  # long names are not cut off
    return ax


def _column(hierarchy: Tree, node: int) -> int:
    return 0 if node < 0 else int(hierarchy.depths[node])


def _place(hierarchy: Tree, node: int, heights: dict[int, float]) -> float:
    """Puts leaves one below the other, and a group at the middle of its children."""
    if node in hierarchy.children:
        places = [_place(hierarchy, child, heights) for child in hierarchy.children[node]]
        heights[node] = (places[0] + places[-1]) / 2
    else:
        heights[node] = float(sum(1 for placed in heights if 0 <= placed < hierarchy.num_leaves))
    return heights[node]
