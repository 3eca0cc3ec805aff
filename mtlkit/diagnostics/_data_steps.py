"""The steps that look at the data: which there are, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mtlkit._statistics import mean_interval
from mtlkit.diagnostics._checks import (
    check_num_classes,
    checked_pair,
    complete,
    input_array,
    labels_by_task,
)
from mtlkit.diagnostics._effects import least_effect, status_of
from mtlkit.diagnostics._given_features import given_features
from mtlkit.diagnostics._power import mixed_by, with_power, within_interval
from mtlkit.diagnostics._steps import Steps
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
    unseen_classes,
)
from mtlkit.diagnostics.data_probes._context import of_classes
from mtlkit.diagnostics.data_probes._duplicates import rows_by_input
from mtlkit.diagnostics.data_probes._suspects import in_users_rows
from mtlkit.diagnostics.evidence import Evidence, not_tested
from mtlkit.diagnostics.thresholds import LEAST_SKILL
from mtlkit.diagnostics.verdict._second_opinions import with_second_opinion
from mtlkit.metrics._labels import is_labelled
from mtlkit.references._kinds import input_kind, looked_at
from mtlkit.references.panel import Panel
from mtlkit.references.reference import Reference

#: More samples than this add little, and cost much.
_MOST_SAMPLES = 10_000
#: Permutations of the labels: all references are asked of each.
_PERMUTATIONS = 99
_NO_SIGNAL = "Without a signal nothing is known of the labels."


@dataclass(frozen=True)
class Samples:
    """What is asked of which samples, checked.

    Attributes:
        inputs: All samples in the order in which they are stored.
        labels: Labels of the task.
        others: Labels of the other tasks, by name.
        task: Name of the task.
        validation: `(x_val, y_val)`, or `None`.
        num_classes: Number of classes, or `None`.
        x_high: The same images at a higher resolution, or `None`.
        features: Embeddings of the samples, or `None`.
        seed: Seed of everything that is drawn.
    """

    inputs: np.ndarray
    labels: np.ndarray
    others: dict[str, np.ndarray]
    task: str
    validation: tuple[Any, Any] | None = None
    num_classes: int | None = None
    x_high: Any = None
    features: Any = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_num_classes(self.num_classes)
        known = self.num_classes
        if self.labels.dtype.kind != "f" and known is not None and self.labels.max() >= known:
            raise ValueError(
                f"Task {self.task!r}: expected classes below num_classes={known}. "
                f"Received: {self.labels.max()}"
            )

    @cached_property
    def drawn(self) -> np.ndarray:
        """The samples that are looked at: those with a label, in order, a part where many."""
        rows = np.flatnonzero(is_labelled(self.labels))
        if len(rows) <= _MOST_SAMPLES:
            return rows
        drawn = np.random.default_rng(self.seed).choice(rows, _MOST_SAMPLES, replace=False)
        return np.sort(drawn)

    @cached_property
    def rows(self) -> np.ndarray:
        """The samples that are learned from: one of each input and label.

        The label of a copy that stays in gives that of its twin away. Rows of a table may be equal
        by chance, and stay.
        """
        if self.inputs.ndim == 2:
            return self.drawn
        again: list[int] = []
        for copies in rows_by_input(self.inputs[self.drawn]).values():
            told: set[bytes] = set()
            for one in copies:
                label = self.labels[self.drawn[one]].tobytes()
                again += [one] * (label in told)
                told.add(label)
        return np.delete(self.drawn, again)

    @property
    def others_of_rows(self) -> dict[str, np.ndarray]:
        """Labels of the other tasks, of the samples that are learned from."""
        return {name: one[self.rows] for name, one in self.others.items()}

    @cached_property
    def panel(self) -> Panel:
        """The references; of classes, two more are told what other tasks' labels seem to be."""
        if self.labels.dtype.kind == "f":
            return self.unconditional
        others = of_classes(self.others_of_rows, len(self.rows))
        return self.unconditional.with_other_tasks(others)

    @cached_property
    def unconditional(self) -> Panel:
        """The references that know of no other task."""
        rows = self.rows
        x = self.inputs if len(rows) == len(self.inputs) else self.inputs[rows]
        return Panel(
            looked_at(x),
            self.labels[rows],
            self.num_classes,
            self.seed,
            features=None if self.known is None else self.known[rows],
        )

    @cached_property
    def told_is_ahead(self) -> bool:
        """Whether the best reference is one that is told of other tasks, and surely so."""
        best, plain = self.panel.best, self.unconditional.best
        if best is plain:
            return False
        _, (low, _) = mean_interval(best.skill_by_sample - plain.skill_by_sample)
        return low > least_effect(0.0, best.skill)

    @property
    def simplest(self) -> Panel:
        """The references that many labels are asked of: without other tasks, if that will do."""
        return self.panel if self.told_is_ahead else self.unconditional

    @cached_property
    def known(self) -> np.ndarray | None:
        """Embeddings of all samples."""
        found = given_features(self.features, self.inputs, None)
        return None if found is None else found[0]

    @cached_property
    def stored(self) -> dict[str, np.ndarray]:
        """The labels of all tasks, of all samples."""
        return {self.task: self.labels, **self.others}

    @cached_property
    def held_out(self) -> tuple[Any, dict[str, np.ndarray]] | None:
        """Held-out samples with a label of the task, and their labels."""
        if self.validation is None:
            return None
        x_val, y_val = checked_pair(self.validation)
        inputs = input_array(x_val, "x_val")
        own, others = labels_by_task(y_val, self.task, len(inputs), "y_val")
        rows = is_labelled(own)
        if not rows.any():
            raise ValueError(f"Task {self.task!r}: expected labels in y_val. Received: none")
        kept = complete({name: values[rows] for name, values in others.items()})
        return inputs[rows], {self.task: own[rows], **kept}

    @cached_property
    def high(self) -> np.ndarray | None:
        """Images of a higher resolution, of the samples that are learned from."""
        if self.x_high is None:
            return None
        images = input_array(self.x_high, "x_high")
        if len(images) != len(self.inputs):
            raise ValueError(
                f"Expected x_high with one image for each of the {len(self.inputs)} of x. "
                f"Received: {len(images)}"
            )
        return images[self.rows]


def run_data_steps(steps: Steps, samples: Samples) -> None:
    """Runs all steps that need no model."""
    _ = samples.held_out, samples.high, samples.known  # says first what is wrong with them
    # More threads would spend more CPU time, much more beside other work, and round otherwise.
    with threadpool_limits(1, "blas"):
        for name, probe in data_steps(samples):
            if name in OF_LABELS and steps.evidence["signal"].status == "absent":
                probe = partial(not_tested, name, _NO_SIGNAL)
            steps.run([name], partial(_in_users_rows, probe, samples))


def data_steps(samples: Samples) -> list[tuple[str, Callable[[], Evidence]]]:
    """The steps, in the order in which they are run: what evidence each finds, and how."""
    return list(_steps(samples))


def _in_users_rows(probe: Callable[[], Evidence], samples: Samples) -> Evidence:
    return in_users_rows(within_interval(probe()), samples.rows)


def _steps(samples: Samples) -> Iterator[tuple[str, Callable[[], Evidence]]]:
    seed, held = samples.seed, samples.held_out
    of_classes = samples.labels.dtype.kind != "f"
    of_images = input_kind(samples.inputs) == "images"

    def asked(probe: Callable[..., Evidence], *more: Any, **options: Any) -> Evidence:
        best = samples.panel.best
        return probe(best.x, best.y, *more, reference=best, seed=seed, **options)

    if held is None:
        yield "invalid_split", lambda: not_tested("invalid_split", "No validation data were given.")
    else:
        yield "invalid_split", lambda: splits(samples.inputs, samples.stored, *held, seed=seed)
        if of_classes:
            given = samples.labels, held[1][samples.task]
            yield "unseen_classes", lambda: unseen_classes(*given)
    yield "duplicates", lambda: _copies(samples)
    # These two ask of many other labels.
    yield "misaligned_labels", lambda: _slipped(samples)
    yield "signal", lambda: _signal(samples)
    yield "skill", lambda: _skills(samples)
    if of_classes:
        for name, probe in OF_LABELS.items():
            yield name, partial(_of_labels, probe, samples)
        yield "too_little_data", partial(_of_labels, amount, samples)
        yield "confusion", lambda: confusion(samples.panel.best)
    if of_images:
        yield "gallery", lambda: gallery(samples.panel.best)
        yield "symmetry", lambda: asked(symmetry, others=complete(samples.others_of_rows))
    if samples.others:
        yield "needs_context", lambda: _context(samples)
    if samples.others or held is not None:
        yield "label_leak", lambda: _leak(samples)
    yield "imbalance", lambda: asked(imbalance)
    if of_images:
        yield "resolution", lambda: asked(resolution, x_high=samples.high)
    yield "uncertainty", lambda: asked(uncertainty)


#: What is asked of the labels.
OF_LABELS: dict[str, Callable[..., Evidence]] = {
    "uniform_noise": uniform_noise,
    "structured_noise": structured_noise,
    "ambiguity": ambiguity,
    "class_overlap": class_overlap,
}


def _slipped(samples: Samples) -> Evidence:
    """Whether labels belong to other rows, of all samples as they are stored."""
    quick = samples.simplest.quick
    return alignment(quick.x, samples.labels, rows=samples.rows, reference=quick, seed=samples.seed)


def _signal(samples: Samples) -> Evidence:
    panel = samples.simplest
    quick = panel.quick
    rivals = [one for one in panel.others if one.kind.quick and one is not quick]
    found = signal(
        quick.x,
        quick.y,
        permutations=_PERMUTATIONS,
        reference=quick,
        rivals=rivals,
        seed=samples.seed,
    )
    # A reference that is too slow for permuted labels may still read the real ones.
    if found.found or panel.best.kind.quick or not _skills(samples).found:
        return found
    text = f"{found.text} But {panel.best.kind.says} predict left-out labels."
    return replace(found, status="found", text=text)


def _skills(samples: Samples) -> Evidence:
    best = samples.panel.best
    labels = {samples.task: best.y, **samples.others_of_rows}
    found = skill_of_tasks(best.x, labels, task=samples.task, reference=best, seed=samples.seed)
    return _widened(found, samples.panel.optimism)


def _widened(skill: Evidence, optimism: float) -> Evidence:
    """The skill of a reference that is the best of several on the same samples."""
    if skill.interval is None:
        return skill
    interval = skill.interval[0] - optimism, skill.interval[1]
    return replace(
        skill,
        status=status_of(interval, LEAST_SKILL),
        interval=interval,
        details={**skill.details, "optimism": optimism},
    )


def _of_labels(probe: Callable[..., Evidence], samples: Samples) -> Evidence:
    """What the best reference says of the labels, confirmed by others, and by what was planted."""

    def of(reference: Reference) -> Evidence:
        return probe(reference.x, reference.y, reference=reference, seed=samples.seed)

    panel = samples.panel
    # Mistakes of a reference that is told of other tasks fall on certain classes.
    sure = probe is not structured_noise or not samples.told_is_ahead
    found = with_second_opinion(of(panel.best), of, panel, sure)
    return with_power(found, of, panel.best, samples.seed)


def _context(samples: Samples) -> Evidence:
    """Whether another task's label is needed, if a lot that is needed would have been seen."""
    best = samples.panel.best
    lot = np.random.default_rng(samples.seed).integers(2, size=len(best))

    def given(reference: Reference, context: dict[str, np.ndarray]) -> Evidence:
        return needs_context(
            reference.x, reference.y, context, reference=reference, seed=samples.seed
        )

    def with_lot(planted: Reference) -> Evidence:
        return given(planted, {"lot": lot})

    found = _shown(given(best, samples.others_of_rows), samples)
    return with_power(found, with_lot, best, samples.seed, mixed_by(lot))


def _shown(found: Evidence, samples: Samples) -> Evidence:
    """What references gain that are told what the inputs show of the other tasks."""
    if found.found or not samples.told_is_ahead:
        return found
    best, plain = samples.panel.best, samples.unconditional.best
    gain, interval = mean_interval(best.correct.astype("float64") - plain.correct)
    text = (
        "The label may mean something only beside another task's: "
        f"{best.kind.says} is right {100 * best.accuracy:.1f} % of the time, the best reference "
        f"without them {100 * plain.accuracy:.1f} %."
    )
    return replace(
        found,
        status="unclear",
        text=text,
        effect=gain,
        interval=interval,
        details={**found.details, "shown": True},
    )


def _copies(samples: Samples) -> Evidence:
    rows = samples.drawn
    whole = len(rows) == len(samples.inputs)
    inputs = samples.inputs if whole else samples.inputs[rows]
    labels = complete({name: one[rows] for name, one in samples.stored.items()})
    return duplicates(inputs, labels, rows=rows)


def _leak(samples: Samples) -> Evidence:
    """Whether the label is told by marks in the training images, or by another label."""
    best, held = samples.panel.best, samples.held_out
    of_known = np.ones(0, bool) if held is None else np.isin(held[1][samples.task], best.y)
    if held is not None and of_known.any():  # other classes may well look otherwise
        x_val = looked_at(held[0][of_known])
        found = marks(best.x, best.y, x_val, reference=best, seed=samples.seed)
        if found.found or not samples.others:
            return found
    return label_leak(best.y, samples.others_of_rows, seed=samples.seed)
