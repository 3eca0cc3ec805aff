"""The part of a diagnosis that needs no model: what is wrong with the data?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from mtlkit._versions import versions
from mtlkit.diagnostics._checks import (
    check_num_classes,
    checked_labels,
    checked_pair,
    complete,
    input_array,
    labels_by_task,
)
from mtlkit.diagnostics._given_features import given_features
from mtlkit.diagnostics._labels import read_all, readers_of
from mtlkit.diagnostics.data_probes import (
    alignment,
    ambiguity,
    amount,
    class_overlap,
    confusion,
    duplicates,
    gallery,
    imbalance,
    label_leak,
    marks,
    needs_context,
    resolution,
    signal,
    skill_of_tasks,
    splits,
    structured_noise,
    symmetry,
    uncertainty,
    uniform_noise,
)
from mtlkit.diagnostics.data_probes._duplicates import rows_by_input
from mtlkit.diagnostics.data_probes._suspects import in_users_rows
from mtlkit.diagnostics.diagnosis import Diagnosis
from mtlkit.diagnostics.evidence import Evidence, not_tested
from mtlkit.diagnostics.verdict import Verdict, decide
from mtlkit.diagnostics.verdict._recommendations import recommend
from mtlkit.diagnostics.verdict._second_opinions import with_second_opinion
from mtlkit.metrics._labels import is_labelled
from mtlkit.references._kinds import looked_at
from mtlkit.references.panel import Panel
from mtlkit.references.reference import Reference

#: More samples than this add little, and cost much.
_MOST_SAMPLES = 10_000


def audit(
    x: Any,
    y: Any,
    task: str,
    *,
    features: ArrayLike | None = None,
    validation_data: tuple[Any, Any] | None = None,
    num_classes: int | None = None,
    x_high: ArrayLike | None = None,
    seed: int = 0,
    verbose: int = 1,
) -> Diagnosis:
    """Looks for causes in the data why a task does not learn; needs no model.

    Simple references of several kinds learn the task (see `mtlkit.references.Reference`), each
    judged on samples that it left out. The best one is the yardstick; what it says of the labels
    counts if a reference of another kind confirms it. It takes about a minute of CPU time for
    10,000 images of 32x32 pixels. Of more samples 10,000 are drawn; that labels slipped, and copies
    of validation samples, are looked for in all of them. Large images are looked at with 64 pixels
    a side. Ctrl-C ends it, and returns what was found so far.

    Args:
        x: Images of shape `(samples, height, width, channels)`, sequences `(samples, steps,
            values)`, columns of a table `(samples, columns)`, or integer tokens `(samples, steps)`.
        y: Labels by task, or those of the task alone: integers for classes (-1: unlabelled),
            floats for values (NaN: unlabelled), names or one-hot rows. Floats that count classes
            from 0 are read as classes. The other tasks are used as context, on the samples that
            have their labels.
        task: Name of the task.
        features: Embeddings of the samples, `(samples, numbers)`, such as those of a pretrained
            model: references on them are tried, too.
        validation_data: `(x_val, y_val)`, to look for copies of training samples.
        num_classes: Number of classes. `None`: one more than the largest label.
        x_high: The same images at a higher resolution, if there are any.
        seed: Seed of everything that is drawn.
        verbose: 0: silent; 1: a line for each step.

    Returns:
        A `Diagnosis`. Its verdict is `"data"` with the causes, `"healthy"` where nothing was
        found in the data that holds the task back, or `"undetermined"`.

    Raises:
        ValueError: If inputs or labels have a wrong shape, are not finite, or are too few.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl

        data = mtl.datasets.planted("clean", samples=500, num_bins=8)
        found = mtl.diagnostics.audit(data.x_train, data.y_train, "identity", verbose=0)
        print(found.verdict.sentence)
        ```
    """
    start = time.process_time()
    inputs = input_array(x)
    readers = readers_of(y, task)
    labels, others = checked_labels(read_all(y, task, readers), task, len(inputs))
    if validation_data is not None:
        x_val, y_val = checked_pair(validation_data)
        validation_data = x_val, read_all(y_val, task, readers)
    evidence: dict[str, Evidence] = {}
    setup: dict[str, Any] = {"class_names": readers[task].names} if readers[task].names else {}
    try:
        data_evidence(
            inputs,
            labels,
            others,
            task,
            validation_data,
            num_classes,
            x_high,
            seed,
            verbose,
            features,
            evidence,
        )
    except KeyboardInterrupt:
        setup["interrupted"] = True
        if verbose:
            print(f"\nInterrupted: what was found so far, of {len(evidence)} tests.", flush=True)
    return report(task, decide(evidence, task), evidence, len(inputs), seed, start, setup)


def data_evidence(
    inputs: np.ndarray,
    labels: np.ndarray,
    others: dict[str, np.ndarray],
    task: str,
    validation_data: tuple[Any, Any] | None,
    num_classes: int | None,
    x_high: Any,
    seed: int,
    verbose: int,
    features: Any,
    evidence: dict[str, Evidence],
) -> None:
    """Runs all probes that need no model, and adds what they find to the evidence.

    Other arguments are as of `audit`, inputs and labels checked.
    """
    check_num_classes(num_classes)
    if labels.dtype.kind != "f" and num_classes is not None and labels.max() >= num_classes:
        raise ValueError(
            f"Task {task!r}: expected classes below num_classes={num_classes}. "
            f"Received: {labels.max()}"
        )
    known = given_features(features, inputs, None)
    drawn = _rows(is_labelled(labels), seed)
    rows = _without_copies(inputs, labels, drawn)
    stored = _Stored(inputs, {task: labels, **others}, drawn, rows)
    validation, high = _validation(validation_data, task), _high(x_high, stored)
    # More threads would spend more CPU time, much more beside other work, and round otherwise.
    with threadpool_limits(1, "blas"):
        x = inputs if len(rows) == len(inputs) else inputs[rows]
        panel = Panel(
            looked_at(x),
            labels[rows],
            num_classes,
            seed,
            features=None if known is None else known[0][rows],
        )
        for name, probe in _steps(panel, task, stored, validation, high, seed):
            if name in _OF_LABELS and evidence["signal"].status == "absent":
                evidence[name] = not_tested(
                    name, "Without a signal nothing is known of the labels."
                )
                continue
            found = in_users_rows(_run(name, probe, verbose), stored.rows)
            evidence[found.name] = found


def report(
    task: str,
    verdict: Verdict,
    evidence: dict[str, Evidence],
    samples: int,
    seed: int,
    start: float,
    setup: Mapping[str, Any] | None = None,
    circular: bool | None = None,
) -> Diagnosis:
    """Puts verdict and evidence together, with what is to be done and how it was found.

    Of `circular`, see `recommend`.
    """
    made = {
        "seed": seed,
        "samples": samples,
        "cpu_seconds": round(time.process_time() - start, 1),
        **versions("scikit-learn"),
        **(setup or {}),
    }
    advice = recommend(task, verdict, evidence, circular=circular)
    return Diagnosis(task, verdict, evidence, advice, made)


@dataclass(frozen=True)
class _Stored:
    """All samples in the order in which they are stored, which are looked at, and learned from."""

    inputs: np.ndarray
    labels: dict[str, np.ndarray]
    drawn: np.ndarray
    rows: np.ndarray

    def of_tasks(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The labels of some samples, of tasks that have them all."""
        return complete({name: labels[rows] for name, labels in self.labels.items()})


def _rows(there: np.ndarray, seed: int) -> np.ndarray:
    """Which samples are used: those with a label, in order, a part of them where many."""
    rows = np.flatnonzero(there)
    if len(rows) <= _MOST_SAMPLES:
        return rows
    drawn = np.random.default_rng(seed).choice(rows, _MOST_SAMPLES, replace=False)
    return np.sort(drawn)


def _without_copies(inputs: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """One sample of each input and label: of a copy that is left in, any label is known.

    Rows of a table may be equal by chance, and stay.
    """
    if inputs.ndim == 2:
        return rows
    again: list[int] = []
    for copies in rows_by_input(inputs[rows]).values():
        told: set[bytes] = set()
        for one in copies:
            label = labels[rows[one]].tobytes()
            again += [one] * (label in told)
            told.add(label)
    return np.delete(rows, again)


def _validation(data: tuple[Any, Any] | None, task: str) -> tuple[Any, Any] | None:
    if data is None:
        return None
    x_val, y_val = checked_pair(data)
    inputs = input_array(x_val, "x_val")
    own, others = labels_by_task(y_val, task, len(inputs), "y_val")
    rows = is_labelled(own)
    if not rows.any():
        raise ValueError(f"Task {task!r}: expected labels in y_val. Received: none")
    kept = complete({name: values[rows] for name, values in others.items()})
    return inputs[rows], {task: own[rows], **kept}


def _high(x_high: Any, stored: _Stored) -> np.ndarray | None:
    if x_high is None:
        return None
    images = input_array(x_high, "x_high")
    if len(images) != len(stored.inputs):
        raise ValueError(
            f"Expected x_high with one image for each of the {len(stored.inputs)} of x. "
            f"Received: {len(images)}"
        )
    return images[stored.rows]


def _steps(
    panel: Panel,
    task: str,
    stored: _Stored,
    validation: tuple[Any, Any] | None,
    x_high: np.ndarray | None,
    seed: int,
) -> Iterator[tuple[str, Callable[[], Evidence]]]:
    """The probes, in the order in which they are run."""
    reference = panel.best
    x, y = reference.x, reference.y
    others = {name: one[stored.rows] for name, one in stored.labels.items() if name != task}
    everything = {task: y, **others}
    shared: dict[str, Any] = {"reference": reference, "seed": seed}
    if validation is None:
        yield "invalid_split", lambda: not_tested("invalid_split", "No validation data were given.")
    else:
        yield "invalid_split", lambda: splits(stored.inputs, stored.labels, *validation, seed=seed)
    yield "duplicates", lambda: _copies(stored)
    # These two ask of many other labels.
    quick: dict[str, Any] = {"reference": panel.quick, "seed": seed}
    yield "misaligned_labels", lambda: alignment(x, stored.labels[task], rows=stored.rows, **quick)
    yield "signal", lambda: signal(x, y, **quick)
    yield "skill", lambda: skill_of_tasks(x, everything, task=task, **shared)
    if reference.classes:
        for name, probe in _OF_LABELS.items():
            yield name, partial(_of_labels, probe, panel, seed)
        yield "too_little_data", partial(_of_labels, amount, panel, seed)
        yield "confusion", lambda: confusion(reference)
    if reference.inputs == "images":
        yield "gallery", lambda: gallery(reference)
        yield "symmetry", lambda: symmetry(x, y, others=complete(others), **shared)
    if others:
        yield "needs_context", lambda: needs_context(x, y, others, **shared)
    if others or validation is not None:
        yield "label_leak", lambda: _leak(reference, others, validation, seed)
    yield "imbalance", lambda: imbalance(x, y, **shared)
    if reference.inputs == "images":
        yield "resolution", lambda: resolution(x, y, x_high=x_high, **shared)
    yield "uncertainty", lambda: uncertainty(x, y, **shared)


#: What is asked of the labels.
_OF_LABELS: dict[str, Callable[..., Evidence]] = {
    "uniform_noise": uniform_noise,
    "structured_noise": structured_noise,
    "ambiguity": ambiguity,
    "class_overlap": class_overlap,
}


def _of_labels(probe: Callable[..., Evidence], panel: Panel, seed: int) -> Evidence:
    """What the best reference says of the labels, confirmed or not by the others."""

    def of(reference: Reference) -> Evidence:
        return probe(reference.x, reference.y, reference=reference, seed=seed)

    return with_second_opinion(of(panel.best), of, panel)


def _copies(stored: _Stored) -> Evidence:
    rows = stored.drawn
    inputs = stored.inputs if len(rows) == len(stored.inputs) else stored.inputs[rows]
    return duplicates(inputs, stored.of_tasks(rows), rows=rows)


def _leak(
    reference: Reference,
    others: dict[str, np.ndarray],
    validation: tuple[Any, Any] | None,
    seed: int,
) -> Evidence:
    """Whether the label is told by marks in the training images, or by another label."""
    if validation is not None:
        x, y = reference.x, reference.y
        found = marks(x, y, looked_at(validation[0]), reference=reference, seed=seed)
        if found.found or not others:
            return found
    return label_leak(reference.y, others, seed=seed)


def _run(name: str, probe: Callable[[], Evidence], verbose: int) -> Evidence:
    start = time.process_time()
    if verbose:
        print(f"{name} ...", end=" ", flush=True)
    found = probe()
    found = replace(found, seconds=time.process_time() - start)
    if verbose:
        print(f"{found.status} ({found.seconds:.1f} s)", flush=True)
    return found
