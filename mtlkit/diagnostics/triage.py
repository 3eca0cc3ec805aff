"""Every task of a model at a glance: which one is stuck, and what to run next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit._random_state import random_state_kept
from mtlkit._statistics import mean_interval
from mtlkit.diagnostics._any_model import adopted
from mtlkit.diagnostics._checks import LEAST_SAMPLES, checked_pair, input_array
from mtlkit.diagnostics._effects import least_effect, status_of
from mtlkit.diagnostics._training.copies import copy_of
from mtlkit.diagnostics._training.score import Score, decoded_zeros, is_of_pixels
from mtlkit.diagnostics.evidence import plain
from mtlkit.diagnostics.preflight import preflight
from mtlkit.diagnostics.thresholds import HARDLY_ANY_SKILL, LEARNED, TRIAGED
from mtlkit.metrics._labels import is_labelled
from mtlkit.metrics._text_table import text_table
from mtlkit.model._outputs import outputs_of
from mtlkit.references import predict_held_out
from mtlkit.references._inputs import one_array
from mtlkit.references._kinds import looked_at
from mtlkit.references._ridge import one_hot

#: What most probably limits a task.
Limit = Literal["model", "data", "learned", "unknown"]


@dataclass(frozen=True)
class TriageRow:
    """One task.

    Attributes:
        task: Its name.
        metric: `"accuracy"` or `"mae"`.
        score: What the model scores.
        baseline: What the best constant scores.
        skill: The share of the way from the baseline to perfection that the model has gone.
        interval: Its 95 % interval.
        reference: The best simple reference.
        gap: Skill of the reference minus that of the model, on the same samples.
        gap_interval: Its 95 % interval.
        samples: Held-out samples with a label.
        limit: What most probably limits the task: `"model"`: a reference does better, or it is
            wired wrong; `"data"`: nobody learns it; `"learned"`; or `"unknown"`.
        next: What to run.
        problems: Names of errors and warnings of `preflight`.

    Example:
        ```python
        from mtlkit.diagnostics import TriageRow

        row = TriageRow("pose", "accuracy", 0.1, 0.1, 0.0, (0.0, 0.1), limit="model")
        assert row.gap is None
        ```
    """

    task: str
    metric: str = ""
    score: float | None = None
    baseline: float | None = None
    skill: float | None = None
    interval: tuple[float, float] | None = None
    reference: str = ""
    gap: float | None = None
    gap_interval: tuple[float, float] | None = None
    samples: int = 0
    limit: Limit = "unknown"
    next: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Triage:
    """All tasks, the worst first.

    Attributes:
        rows: A row for each task.
        held_out: Whether scores are of samples that the model was not trained on.

    Example:
        ```python
        from mtlkit.diagnostics import Triage, TriageRow

        print(Triage((TriageRow("pose", "accuracy", 0.1, 0.1, 0.0, (0.0, 0.1)),)))
        ```
    """

    rows: tuple[TriageRow, ...]
    held_out: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain data."""
        return plain({"rows": [vars(row) for row in self.rows], "held_out": self.held_out})

    def __str__(self) -> str:
        """A table, and below it what to run next."""
        cells = [
            [
                row.task,
                _number(row.score, row.metric),
                _number(row.baseline, row.metric),
                _share(row.skill, row.interval),
                row.reference,
                _share(row.gap, row.gap_interval),
                row.limit,
            ]
            for row in self.rows
        ]
        header = ["task", "score", "constant", "skill", "reference", "ahead by", "limit"]
        lines = [text_table(header, cells), ""]
        if not self.held_out:
            lines += ["Scores of the model are of its training samples: give validation_data.", ""]
        for row in self.rows:
            said = f" (preflight: {', '.join(row.problems)})" if row.problems else ""
            lines.append(f"{row.task}: {row.next}{said}")
        return "\n".join(lines)


@random_state_kept()
def triage(
    model: Any,
    x: Any,
    y: Any,
    validation_data: tuple[Any, Any] | None = None,
    *,
    seed: int = 0,
) -> Triage:
    """Scores every task beside the best constant and beside simple references, in a minute.

    Args:
        model: A compiled and trained `mtlkit.MultiTaskModel` or `keras.Model`; it is not changed.
        x: Inputs that it was trained on.
        y: Their labels, as `fit` takes them.
        validation_data: `(x_val, y_val)`, which it was not trained on. `None`: the model is scored
            on its training samples, which flatters it, and references on left-out ones.
        seed: Seed of what is drawn.

    Returns:
        A `Triage`, the task with the largest gap first.

    Raises:
        ValueError: If the model cannot be diagnosed, or inputs are not valid.

    Example:
        ```python
        import keras
        import numpy as np

        import mtlkit as mtl

        rng = np.random.default_rng(0)
        x = rng.normal(size=(300, 4)).astype("float32")
        y = (x[:, 0] > 0).astype(int)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        table = mtl.diagnostics.triage(model, x[:200], y[:200], (x[200:], y[200:]))
        assert table.rows[0].limit == "model"  # which was not trained
        print(table)
        ```
    """
    model, by_task = adopted(model)
    labels = by_task(y)
    x_val, labels_val = x, labels
    if validation_data is not None:
        x_val, y_val = checked_pair(validation_data)
        labels_val = by_task(y_val)
    known = {name: np.asarray(one) for name, one in labels.items() if name in model.tasks}
    wired = preflight(model, x, known, seed=seed).problems
    outputs = outputs_of(copy_of(model), x_val)
    seen = _reduced(model, x), _reduced(model, x_val)
    rows = []
    for name in model.tasks:
        problems = tuple(
            problem.name
            for problem in wired
            if problem.severity != "hint" and problem.task in (None, "", name)
        )
        if name not in labels or name not in labels_val:
            rows.append(TriageRow(name, next="give its labels", problems=problems))
            continue
        given = np.asarray(labels[name]), np.asarray(labels_val[name])
        row = _row(model, name, seen, given, outputs[name], validation_data is not None, seed)
        rows.append(_judged(replace(row, problems=problems)))
    ordered = sorted(rows, key=lambda row: -(row.gap if row.gap is not None else -1.0))
    return Triage(tuple(ordered), validation_data is not None)


def _reduced(model: Any, x: Any) -> NDArray:
    return looked_at(input_array(one_array(model._images(x))))


def _row(
    model: Any,
    name: str,
    inputs: tuple[NDArray, NDArray],
    labels: tuple[NDArray, NDArray],
    outputs: NDArray,
    held_out: bool,
    seed: int,
) -> TriageRow:
    """The scores of a task, not judged yet."""
    head = model.tasks[name].head
    if is_of_pixels(decoded_zeros(head, model.output[name].shape)):
        return TriageRow(name, next="look at its predictions: it has a label for each pixel")
    known, judged = (np.flatnonzero(is_labelled(one)) for one in labels)
    rng = np.random.default_rng(seed)
    known, judged = (np.sort(rng.permutation(one)[:TRIAGED]) for one in (known, judged))
    if len(known) < LEAST_SAMPLES or not len(judged):
        return TriageRow(name, samples=len(judged), next="label more samples")
    y_val = labels[1][judged]
    try:
        score = Score.of(head, int(np.prod(model.output[name].shape[1:])), y_val)
    except ValueError as error:
        return TriageRow(name, samples=len(judged), next=str(error))
    own = score.rows(head.decode(keras.tree.map_structure(lambda a: a[judged], outputs)), y_val)
    targets = score.targets(labels[0][known])
    fitted = one_hot(targets, score.num_classes) if score.of_classes else targets
    both = predict_held_out(
        inputs[0][known], fitted, inputs[1][judged] if held_out else inputs[0][known[:1]], seed
    )
    left_out = {
        kind: score.rows_of_scores(scores.left_out, labels[0][known])
        for kind, scores in both.items()
    }
    best = max(left_out, key=lambda kind: float(left_out[kind].mean()))
    if held_out:
        rows = score.rows_of_scores(both[best].held_out, y_val)
    else:
        rows, own = left_out[best], own[np.isin(judged, known)]
    skill, interval = mean_interval(own)
    gap, gap_interval = mean_interval(rows - own)
    return TriageRow(
        name,
        score.metric,
        score.value(skill),
        score.baseline,
        skill,
        interval,
        best,
        gap,
        gap_interval,
        len(judged),
    )


def _judged(row: TriageRow) -> TriageRow:
    """The row with what most probably limits the task, and what to run."""
    if row.skill is None or row.gap is None or row.gap_interval is None:
        return row
    reference = row.skill + row.gap
    ahead = status_of(row.gap_interval, least_effect(0.0, max(reference, row.skill)))
    diagnose = f'mtl.diagnostics.diagnose(model, x, y, "{row.task}", validation_data=held)'
    if row.problems:
        return replace(row, limit="model", next=f"mend what preflight names, then {diagnose}")
    if max(reference, row.skill) < HARDLY_ANY_SKILL:
        audit = f'mtl.diagnostics.audit(x, y, "{row.task}")'
        return replace(row, limit="data", next=f"{audit}: neither the model nor a reference learns")
    if ahead == "found":
        return replace(row, limit="model", next=diagnose)
    if row.skill >= LEARNED:
        return replace(row, limit="learned", next="nothing")
    return replace(row, next=f"{diagnose}, with features= of a pretrained model if there is one")


def _number(value: float | None, metric: str) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f} %" if metric == "accuracy" else f"{value:.3g}"


def _share(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None or interval is None:
        return ""
    return f"{value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"
