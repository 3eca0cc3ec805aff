"""Plots of a training, from the history that `fit` returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from mtlkit.metrics.skill import constant_skill
from mtlkit.reports._figures import (
    BASELINE,
    COLORS,
    draw_baseline,
    draw_legend,
    label_axes,
    new_axes,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TRAINING, _VALIDATION = {"color": COLORS[0]}, {"color": COLORS[1]}


def plot_history(
    history: Any,
    tasks: Sequence[str] | None = None,
    labels: Mapping[str, ArrayLike] | None = None,
) -> Figure:
    """Draws losses and scores of each task, epoch by epoch, in training and in validation.

    Each task has a row: on the left its loss, on the right its score, the primary metric of its
    head where the model is known, else the first one that was logged. A dotted line is the
    score without any skill: the best constant of `labels`, or chance. Epochs in which a task had
    no label are gaps.

    Args:
        history: What `fit` returned, or its logs: a list of values, one an epoch, by name.
        tasks: Names of the tasks to draw. `None`: all of the model, or those with a loss.
        labels: Labels by task, such as `y_val`, of which the best constant is taken. `None`:
            chance is drawn, for accuracies of classes alone, where the model is known.

    Returns:
        The figure. `figure.savefig("history.png")` writes it.

    Raises:
        ValueError: If there are no such logs.

    Example:
        ```python
        from mtlkit.reports import plot_history

        logs = {"kind_loss": [1.1, 0.6], "kind_accuracy": [0.4, 0.8], "val_kind_loss": [1.2, 0.9]}
        assert len(plot_history(logs).axes) == 2
        ```
    """
    from matplotlib.figure import Figure

    logs: Mapping[str, Sequence[float]] = getattr(history, "history", history)
    model = getattr(history, "model", None)
    known: Mapping[str, Any] = getattr(model, "tasks", {})
    names = [log.removesuffix("_loss") for log in logs if log.endswith("_loss")]
    found = list(known) or [one for one in names if one != "val" and not one.startswith("val_")]
    drawn = found if tasks is None else list(tasks)
    lacking = [task for task in drawn if f"{task}_loss" not in logs]
    if lacking or not drawn:
        raise ValueError(
            f"Expected a history with the logs of tasks, such as {found or ['kind']} with "
            f"'{(found or ['kind'])[0]}_loss'. Received: {lacking or list(logs)}"
        )
    figure = Figure(figsize=(9, 2.6 * len(drawn)), layout="constrained")
    rows = figure.subplots(len(drawn), 2, squeeze=False)
    entries = {"training": _TRAINING, "validation": _VALIDATION}
    for task, (left, right) in zip(drawn, rows, strict=True):
        score = _score(task, logs, model if task in known else None, found)
        _draw(left, logs, f"{task}_loss", "loss")
        left.set_title(plain(task), loc="left", fontweight="bold")
        if score is None:
            right.set_visible(False)
            continue
        own = None if labels is None else labels.get(task)
        _draw(right, logs, score, score.removeprefix(f"{task}_").replace("_", " "))
        baseline = _baseline(task, score, known, own)
        draw_baseline(right, baseline)
        if baseline is not None:
            entries["without learning"] = BASELINE
    shown = next((ax for ax in rows[:, 1] if ax.get_visible()), rows[0][0])
    draw_legend(shown, entries)
    return figure


def _draw(ax: Any, logs: Mapping[str, Sequence[float]], log: str, name: str) -> None:
    """Draws a log and that of the validation data."""
    new_axes(ax)
    for key, style in ((log, _TRAINING), (f"val_{log}", _VALIDATION)):
        values = logs.get(key, ())
        marker = "o" if len(values) == 1 else None
        ax.plot(range(1, len(values) + 1), values, marker=marker, **style)
    label_axes(ax, "epoch", name)
    ax.locator_params(axis="x", integer=True)


def _score(task: str, logs: Mapping[str, Any], model: Any, tasks: Sequence[str]) -> str | None:
    """The log that judges a task."""
    if model is not None:
        judged = str(model.objective(task).name).removeprefix("val_")
        if judged in logs and judged != f"{task}_loss":
            return judged
    longer = tuple(f"{other}_" for other in tasks if other.startswith(f"{task}_"))
    own = (log for log in logs if log.startswith(f"{task}_") and not log.startswith(longer or "?"))
    return next((log for log in own if log != f"{task}_loss"), None)


def _baseline(
    task: str, score: str, known: Mapping[str, Any], labels: ArrayLike | None
) -> float | None:
    """The score of the best constant, or chance; `None` where it is not known."""
    skill = None if labels is None else constant_skill(score, labels, task)
    if skill is not None:
        return skill.baseline
    head = getattr(known.get(task), "head", None)
    classes = getattr(head, "num_classes", getattr(head, "num_bins", None))
    return 1 / classes if score == f"{task}_accuracy" and classes else None
