"""What is wired wrong, in seconds and before any training."""

from __future__ import annotations

import contextlib
import textwrap
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras

from mtlkit._random_state import random_state_kept
from mtlkit.diagnostics._preflight._problem import SEVERITIES, Problem
from mtlkit.diagnostics._preflight._program import Program
from mtlkit.diagnostics._preflight._table import OF_DATA, OF_MODEL, OF_TRAINING, Check
from mtlkit.diagnostics._training.copies import compiled_like, copy_of
from mtlkit.model import MultiTaskModel
from mtlkit.model._adaptation import is_adapted

_WIDTH = 100


@dataclass(frozen=True)
class Preflight:
    """What a preflight found.

    Attributes:
        problems: The problems, the gravest first.
        not_checked: Names of the checks that were not run, with the reason.
        samples: Number of samples that were looked at.
        seconds: Wall time that it took.

    Example:
        ```python
        from mtlkit.diagnostics import Preflight, Problem

        found = Preflight((Problem("input_scale", "hint", "Inputs go up to 255."),))
        assert found.ok
        ```
    """

    problems: tuple[Problem, ...] = ()
    not_checked: tuple[tuple[str, str], ...] = ()
    samples: int = 0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there is nothing graver than a hint."""
        return all(problem.severity == "hint" for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain data."""
        return {**vars(self), "problems": [problem.to_dict() for problem in self.problems]}

    def __str__(self) -> str:
        said = "Nothing is wired wrong." if not self.problems else ""
        lines = [said] if said else []
        for problem in self.problems:
            where = f" [{problem.task}]" if problem.task else ""
            lines += textwrap.wrap(
                f"{problem.severity}: {problem.name}{where}. {problem.text}",
                _WIDTH,
                subsequent_indent="    ",
            )
            if problem.code:
                lines.append(f"    {problem.code}")
        names: dict[str, list[str]] = {}
        for name, why in self.not_checked:
            names.setdefault(why, []).append(name)
        for why, left_out in names.items():
            text = f"not checked: {', '.join(left_out)}. {why}"
            lines += textwrap.wrap(text, _WIDTH, subsequent_indent="    ")
        return "\n".join(lines)


@random_state_kept()
def preflight(model: keras.Model, x: Any, y: Any, *, seed: int = 0) -> Preflight:
    """Looks for what is wired wrong, before a training and in seconds.

    Labels are compared with the loss and the last activation, inputs with what the first weights
    expect; a batch of 64 samples goes through the network, its loss is compared with that of the
    best constant, gradients are computed layer by layer, and a few steps are tried. Then all
    weights and the state of the optimizer are put back.

    Args:
        model: A compiled `keras.Model` or `mtlkit.MultiTaskModel`, trained or not. Layers of a
            subclassed model are not known, so that some checks are left out.
        x: Training inputs, as `fit` takes them: arrays, or a dict or list of them.
        y: Their labels, as `fit` takes them.
        seed: Seed of the batch.

    Returns:
        A `Preflight`. A problem is an `"error"` if the task cannot be learned like this, a
        `"warning"` if a measurement shows that it hinders, and a `"hint"` if it is unusual and
        may be meant.

    Raises:
        ValueError: If the model is not compiled, or inputs and labels differ in number.

    Example:
        ```python
        import keras
        import numpy as np

        import mtlkit as mtl

        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(200, 4)), rng.integers(2, size=200)
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(8, activation="relu"),
                keras.layers.Dense(1, activation="softmax"),
            ]
        )
        model.compile("adam", loss="binary_crossentropy")
        found = mtl.diagnostics.preflight(model, x, y)
        assert not found.ok and found.problems[0].name == "one_unit_softmax"
        print(found)
        ```
    """
    start = time.monotonic()
    _check(model, x, y)
    program = Program(_adapted(model, x, y), x, y, seed)
    problems: list[Problem] = []
    not_checked: list[tuple[str, str]] = []
    for checks in (OF_DATA, OF_MODEL, OF_TRAINING):
        if checks is not OF_DATA and (why := _cannot_compute(problems)):
            not_checked += [(check.__name__, why) for check in checks]
            continue
        for check in checks:
            _run(check, program, problems, not_checked)
    ordered = sorted(problems, key=lambda problem: SEVERITIES.index(problem.severity))
    seconds = time.monotonic() - start
    return Preflight(tuple(ordered), tuple(not_checked), len(program.rows), seconds)


def _run(
    check: Check,
    program: Program,
    problems: list[Problem],
    not_checked: list[tuple[str, str]],
) -> None:
    """Runs a check. What a user's own layers or losses raise ends no other check."""
    try:
        problems += check(program)
    except Exception as error:  # whatever the model raises
        first = str(error).strip().splitlines()
        why = f"{type(error).__name__}: {first[0] if first else ''}"
        not_checked.append((check.__name__, textwrap.shorten(why, 200)))


#: With these, a batch cannot go through the network, or its loss says nothing.
_BLOCKING = (
    "no_labels",
    "wrong_labels",
    "one_hot_labels",
    "labels_out_of_range",
    "labels_not_one_hot",
    "shape_mismatch",
    "inputs_not_finite",
    "tokens_out_of_range",
    "nan_labels",
)


def _cannot_compute(problems: Iterable[Problem]) -> str:
    """Why nothing can be computed; empty if it can."""
    blocking = [p.name for p in problems if p.severity == "error" and p.name in _BLOCKING]
    return f"It needs data without {blocking[0]}." if blocking else ""


def _check(model: Any, x: Any, y: Any) -> None:
    if not isinstance(model, keras.Model):
        raise ValueError(f"Expected a keras.Model. Received: {type(model).__name__}")
    if not model.compiled:
        raise ValueError(
            "Expected a compiled model, since its loss and optimizer are looked at. Received: one "
            'that is not\nCompile it: model.compile("adam", loss=...)'
        )
    sizes = {
        what: [len(leaf) for leaf in keras.tree.flatten(given) if leaf is not None]
        for what, given in (("x", x), ("y", y))
    }
    found = {size for lengths in sizes.values() for size in lengths}
    if len(found) != 1 or found == {0} or not sizes["x"] or not sizes["y"]:
        raise ValueError(
            "Expected inputs and labels of the same samples, at least one. "
            f"Received: x of {sizes['x']} samples, y of {sizes['y']}"
        )


def _adapted(model: keras.Model, x: Any, y: Any) -> keras.Model:
    """The model itself; of one that its first `fit` would adapt, an adapted copy."""
    if not isinstance(model, MultiTaskModel):
        return model
    heads = [task.head for task in model.tasks.values()]
    if is_adapted(model.backbone) and all(head.adapted for head in heads):
        return model
    adapted = compiled_like(copy_of(model), model)
    with contextlib.suppress(ValueError):  # data that do not fit: the checks say why
        adapted._prepared({"x": x, "y": y})
    return adapted
