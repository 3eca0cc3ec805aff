"""Which labels to check first, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mtlkit.diagnostics.evidence import Evidence
from mtlkit.reports._figures import plain
from mtlkit.reports._page import Markup, element, picture, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mtlkit.diagnostics.diagnosis import Diagnosis

#: Pictures in a row; more than two rows are not drawn.
_IN_ROW = 6
#: Rows of a table of samples that are no images.
_IN_TABLE = 20
#: Longer names of classes are cut.
_MAX_NAME = 12


def draw_suspects(evidence: Evidence, diagnosis: Diagnosis) -> list[Markup]:
    """Draws the labels that are most likely wrong, where that is a cause."""
    listed = evidence.details.get("suspects") or {}
    is_cause = evidence.name in {cause.name for cause in diagnosis.verdict.causes}
    name = diagnosis.class_name
    if not is_cause or not len(listed.get("rows", ())):
        return []
    if listed.get("images") is None:
        rows = zip(listed["rows"], listed["given"], listed["likeliest"], strict=True)
        cells = [[int(row), name(given), name(likeliest)] for row, given, likeliest in rows]
        first = table(["row", "given", "looks like"], cells[:_IN_TABLE])
        return [element("p", _caption(listed, min(len(cells), _IN_TABLE))), first]
    captions = [
        f"{_short(name(given))}\n→ {_short(name(likeliest))}"
        for given, likeliest in zip(listed["given"], listed["likeliest"], strict=True)
    ]
    ax = plot_suspects(listed["images"], captions)
    return [picture(ax, _caption(listed, min(len(listed["images"]), 2 * _IN_ROW)))]


def plot_suspects(images: ArrayLike, captions: Sequence[str]) -> Axes:
    """Draws images, each with a caption above it.

    Args:
        images: Array of shape `(images, height, width)`, or `(images, height, width, 3)`,
            from 0 to 1. Not more than 12 are drawn.
        captions: What stands above each of them.
    """
    from matplotlib.figure import Figure

    ready = np.asarray(images, "float64")
    if not ready.size or ready.shape[3:] not in ((), (3,)) or ready.ndim < 3:
        raise ValueError(
            "Expected images of shape (images, height, width), or with an axis of 3 colours. "
            f"Received: shape={ready.shape}"
        )
    ready = np.clip(ready[: 2 * _IN_ROW], 0, 1)
    rows = -(-len(ready) // _IN_ROW)
    figure = Figure(figsize=(1.15 * _IN_ROW, 1.5 * rows), layout="constrained")
    grid = figure.subplots(rows, _IN_ROW, squeeze=False)
    for ax in grid.flat:
        ax.set_axis_off()
    for ax, image, caption in zip(grid.flat, ready, captions, strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(plain(caption), fontsize="small")
    first: Axes = grid[0, 0]
    return first


def _caption(listed: Mapping[str, Any], drawn: int) -> str:
    rows = [int(one) for one in listed["rows"]]
    text = f"Labels to check first: rows {', '.join(map(str, rows[:drawn]))} of the samples"
    if listed.get("images") is not None:
        text += "; above each its label, and what it looks like"
    text += f". {len(rows)} are listed." if len(rows) > drawn else "."
    if listed.get("expected"):
        text += f" About {listed['expected']} are wrong."
    return text


def _short(text: str) -> str:
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}…"
