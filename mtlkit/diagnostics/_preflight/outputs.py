"""Last activations that do not fit the loss or the labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.backbones._graph import node_of
from mtlkit.diagnostics._preflight._problem import Problem
from mtlkit.diagnostics._preflight._program import Output, Program
from mtlkit.diagnostics.thresholds import NORMALISED, UNREACHABLE_LABELS
from mtlkit.model._label_inference import kind_of_loss, last_activation

#: The values that an activation gives.
_RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, np.inf),
    "exponential": (0.0, np.inf),
}
#: Activations that values can have, but rarely should: the problem, and what comes of it.
_UNUSUAL_OF_VALUES = {
    "softmax": ("softmax_of_values", "has a softmax, so that the values of a sample sum to 1."),
    "relu": (
        "relu_at_the_end",
        "ends in a relu: a unit that gives 0 for all samples has no gradient.",
    ),
}
_NEVER_NEGATIVE = ("relu", "relu6")
_CLASSES = ("classification", "one_hot")
_BINARY = ("binary", "multi_label")


def activation_of_output(program: Program) -> Iterator[Problem]:
    """The last activation beside the loss."""
    for out in program.outputs:
        if out.loss is None or out.is_checked_by_head:
            continue
        check = _of_one if out.tensor is not None else _without_graph
        found = next(check(program, out), None)
        if found is not None:
            yield found


def _of_one(program: Program, out: Output) -> Iterator[Problem]:
    """The gravest first."""
    if out.activation == "softmax" and out.units == 1:
        yield Problem(
            "one_unit_softmax",
            "error",
            f"{out.layer!r} has a softmax over one unit, which is always 1: nothing is learned.",
            _last_layer(out, 1, "sigmoid" if out.kind in _BINARY else None),
            out.name,
            out.layer,
            1.0,
        )
    if out.kind in (*_CLASSES, *_BINARY):
        if out.from_logits and out.activation in ("softmax", "sigmoid"):
            yield Problem(
                "softmax_twice",
                "error",
                f"{out.layer!r} ends in a {out.activation}, and the loss applies another one "
                "(from_logits=True): predictions stay close to one another.",
                _last_layer(out, out.units, None),
                out.name,
                out.layer,
            )
        elif not out.from_logits:
            yield from _probabilities(program, out)
        yield from _clipped_logits(out)
    if out.kind == "regression" and out.labels is not None:
        yield from _reach(out, out.labels.astype("float64"))


def _clipped_logits(out: Output) -> Iterator[Problem]:
    """Logits that cannot be negative."""
    last = node_of(out.tensor)
    given = out.tensor
    if not out.from_logits and type(last.operation).__name__ in ("Softmax", "Activation"):
        given = last.input_tensors[0]
    elif not out.from_logits:
        return
    if last_activation(given) in _NEVER_NEGATIVE:
        layer = node_of(given).operation.name
        yield Problem(
            "clipped_logits",
            "warning",
            f"{layer!r} ends in a {last_activation(given)}, and a softmax or sigmoid follows: a "
            "class that is at 0 has no gradient, and none can be unlikely.",
            _last_layer(out, out.units, None, given),
            out.name,
            layer,
        )


def _without_graph(program: Program, out: Output) -> Iterator[Problem]:
    """A model that is no graph of layers, by what it predicts."""
    predicted = program.predicted.get(out.name)
    if predicted is None or predicted.ndim < 2 or not predicted.size:
        return
    units = predicted.shape[-1]
    kind = kind_of_loss(out.loss, units)
    positive = bool((predicted >= 0).all())
    sums_to_1 = positive and float(np.abs(predicted.sum(axis=-1) - 1).max()) < NORMALISED
    if kind in _CLASSES and out.from_logits and sums_to_1 and units > 1:
        yield Problem(
            "softmax_twice",
            "error",
            f"Predictions of {out.name!r} sum to 1, as after a softmax, and the loss applies "
            "another one (from_logits=True): they stay close to one another.",
            "from_logits=False  # in the loss",
            out.name,
        )
    elif kind in _CLASSES and not out.from_logits and not sums_to_1:
        yield Problem(
            "logits_as_probabilities",
            "error" if not positive else "warning",
            f"The loss of {out.name!r} takes probabilities, and its predictions do not sum to 1.",
            "from_logits=True  # in the loss, or a softmax at the end",
            out.name,
        )


def _probabilities(program: Program, out: Output) -> Iterator[Problem]:
    """A loss that takes probabilities, of outputs that are none."""
    predicted = program.predicted.get(out.name)
    wanted = "softmax" if out.kind in _CLASSES else "sigmoid"
    if predicted is None or not predicted.size:
        return
    outside = float(np.mean((predicted < 0) | (predicted > 1)))
    sums = np.abs(predicted.sum(axis=-1) - 1)
    unbounded = out.activation not in ("softmax", "sigmoid", "hard_sigmoid")
    if outside > 0 or (unbounded and out.activation is not None):
        loss = '"from_logits=True" in the loss' if out.activation == "linear" else ""
        yield Problem(
            "logits_as_probabilities",
            "error",
            f"The loss of {out.name!r} takes probabilities, and {out.layer!r} gives any number "
            f"(activation {out.activation!r}; {100 * outside:.0f} % of the outputs leave [0, 1]).",
            _last_layer(out, out.units, wanted) + (f"  # or {loss}" if loss else ""),
            out.name,
            out.layer,
            outside,
        )
    elif out.kind in _CLASSES and float(np.mean(sums)) > NORMALISED:
        yield Problem(
            "not_normalised",
            "warning",
            f"Outputs of {out.name!r} do not sum to 1 ({out.layer!r} "
            f"{_ends_in(out.activation)}): the loss is one of classes that exclude each other.",
            _last_layer(out, out.units, "softmax"),
            out.name,
            out.layer,
            float(np.mean(sums)),
        )
    elif out.kind == "multi_label" and out.activation == "softmax":
        yield Problem(
            "binary_loss_for_exclusive_classes",
            "warning" if out.units > 2 else "hint",
            f"{out.layer!r} has a softmax over {out.units} classes, and the loss takes each for a "
            "question of its own, so that its accuracy counts the right zeros, too.",
            'model.compile(optimizer, loss="categorical_crossentropy", metrics=["accuracy"])',
            out.name,
            out.layer,
        )


def _ends_in(activation: str | None) -> str:
    return "has no softmax over the classes" if activation is None else f"has a {activation}"


def _reach(out: Output, labels: NDArray) -> Iterator[Problem]:
    """Values that the last activation cannot give."""
    if out.activation not in _RANGES:
        return
    low, high = _RANGES[out.activation]
    known = labels[np.isfinite(labels)]
    share = float(np.mean((known < low) | (known > high))) if known.size else 0.0
    ends = " and ".join(f"{end:g}" for end in (low, high) if np.isfinite(end))
    if share > UNREACHABLE_LABELS:
        yield Problem(
            "unreachable_labels",
            "error",
            f"{100 * share:.0f} % of the labels of {out.name!r} lie outside of what "
            f"{out.layer!r} can give: its {out.activation} ends at {ends}, labels go from "
            f"{known.min():g} to {known.max():g}.",
            _last_layer(out, out.units, None),
            out.name,
            out.layer,
            share,
        )
    elif out.activation in _UNUSUAL_OF_VALUES:
        name, text = _UNUSUAL_OF_VALUES[out.activation]
        yield Problem(
            name,
            "hint",
            f"{out.layer!r} {text}",
            _last_layer(out, out.units, None),
            out.name,
            out.layer,
        )


def accuracy_of_values(program: Program) -> Iterator[Problem]:
    """Accuracy, where values are predicted."""
    for out in program.outputs:
        if out.kind != "regression" or out.labels is None or len(np.unique(out.labels)) <= 2:
            continue
        named = [name for name in out.metrics if name in ("accuracy", "acc")]
        if named and out.units == 1:
            yield Problem(
                "accuracy_of_values",
                "hint",
                f"{out.name!r} predicts values, and accuracy counts those that are exactly right.",
                'metrics=["mae"]',
                out.name,
            )


def _last_layer(out: Output, units: int, activation: str | None, tensor: Any = None) -> str:
    operation = node_of(out.tensor if tensor is None else tensor).operation
    if type(operation).__name__ in ("Dense", "Softmax", "Activation"):
        given = "" if activation is None else f", activation={activation!r}"
        return f"keras.layers.Dense({units}{given})"
    return f"activation={activation!r}  # of {operation.name!r}"
