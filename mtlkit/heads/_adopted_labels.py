"""What labels of an output can be, and what follows from it: loss, metrics, decoding, checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit._largest import largest

#: Shape of a batch of outputs, with `None` where it is not known.
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class AdoptedLabels:
    """A row of the table: one kind of label.

    Attributes:
        name: Its name.
        labels: The labels in words, for errors.
        loss: From whether outputs are logits to the loss.
        metrics: From whether outputs are logits to new metrics.
        primary: Name of the metric that judges, and its direction.
        accuracy: The class that the metric `"accuracy"` stands for, as in Keras.
        decode: From outputs (a tensor) and whether they are logits to tensors by name.
        seen: From outputs (a tensor) and whether they are logits to what other tasks see.
        shapes: From the shape of the outputs to those that labels may have.
        wrong: From labels that are there, and the number of outputs, to which are wrong.
    """

    name: str
    labels: str
    loss: Callable[[bool], keras.losses.Loss]
    metrics: Callable[[bool], list[keras.metrics.Metric]]
    primary: tuple[str, str]
    accuracy: type[keras.metrics.Metric]
    decode: Callable[[Any, bool], dict[str, Any]]
    seen: Callable[[Any, bool], Any]
    shapes: Callable[[Shape], list[Shape]]
    wrong: Callable[[np.ndarray, int], np.ndarray]


def width(shape: Shape) -> int:
    """Number of outputs along the last axis; 1 where outputs have the batch axis alone."""
    return int(shape[-1] or 0) if len(shape) > 1 else 1


def check_labels(
    y: Any, kind: str, shape: Shape, task: str, soft: bool = False, cure: str = ""
) -> None:
    """Checks the labels of an output.

    Args:
        y: Labels, one a sample; NaN (floating point) or -1 (integer) where missing.
        kind: Name of their kind.
        shape: Shape of the outputs.
        task: Name of the task, for the message.
        soft: Whether binary labels may lie between 0 and 1.
        cure: The end of the message: how to name another kind.
    """
    row = KINDS[kind]
    y = np.asarray(y)
    expected = f"Task {task!r}: expected {row.labels.format(last=width(shape) - 1)}"
    if y.dtype.kind not in "fiub":
        raise ValueError(f"{expected}. Received: dtype={y.dtype}{cure}")
    wanted = row.shapes(shape)
    if wanted and not any(_fits(y.shape, one) for one in wanted):
        listed = " or ".join(_text(one) for one in wanted)
        raise ValueError(f"{expected}, of shape {listed}. Received: shape {y.shape}{cure}")
    rows = y.reshape(len(y), -1)
    missing = np.isnan(rows) if y.dtype.kind == "f" else (rows == -1) & (y.dtype.kind == "i")
    partly = np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1))
    if partly.size:
        mark = "NaN" if y.dtype.kind == "f" else "-1"
        raise ValueError(
            f"{expected}; of a sample, all of it or nothing may be missing. "
            f"Received: a label with {mark} in a part of it, at sample {partly[0]}"
        )
    _check_signs(rows, missing, kind, expected)
    there = ~missing.any(axis=1)
    bad = ~np.isfinite(rows) if y.dtype.kind == "f" else np.zeros(rows.shape, bool)
    bad |= row.wrong(rows, width(shape))
    if soft and kind in ("binary", "multi_label"):
        bad &= (rows < 0) | (rows > 1)
    found = np.flatnonzero(bad.any(axis=1) & there)
    if found.size:
        value = rows[found[0]][bad[found[0]]][0]
        if value == -1 and y.dtype.kind == "f":
            cure = (
                "\nWhere -1 means unlabelled, floating-point labels need NaN: "
                "y = np.where(y == -1, np.nan, y)"
            )
        raise ValueError(
            f"{expected}. Received: {value} at sample {found[0]} "
            f"({found.size} of {len(y)} labels are like that){cure}"
        )


def _check_signs(rows: np.ndarray, missing: np.ndarray, kind: str, expected: str) -> None:
    """Raises a ValueError where an integer -1 may be meant as a value."""
    if kind not in ("regression", "unchecked") or rows.dtype.kind != "i" or not missing.any():
        return
    if rows.min() < -1 or set(np.unique(rows)) == {-1, 1}:
        raise ValueError(
            f"{expected}. Received: integers with -1, which means unlabelled, where it looks like "
            'a value. Give floating-point numbers: y.astype("float32")'
        )


def _fits(shape: Shape, wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(
        want is None or size == want for size, want in zip(shape[1:], wanted[1:], strict=True)
    )


def _text(shape: Shape) -> str:
    return "(" + ", ".join(["samples", *("any" if n is None else str(n) for n in shape[1:])]) + ")"


def _class_shapes(shape: Shape) -> list[Shape]:
    return [shape[:-1], (*shape[:-1], 1)]


def _value_shapes(shape: Shape) -> list[Shape]:
    if len(shape) == 1:
        return [shape, (*shape, 1)]
    return [shape, shape[:-1]] if shape[-1] == 1 else [shape]


def _decode_classes(x: Any, logits: bool) -> dict[str, Any]:
    return {"label": largest(x), "probability": _softmax(x, logits)}


def _decode_binary(x: Any, logits: bool) -> dict[str, Any]:
    one = _sigmoid(x[..., 0] if len(x.shape) > 1 else x, logits)
    return {"label": _whole(one > 0.5), "probability": ops.stack([1 - one, one], axis=-1)}


def _decode_labels(x: Any, logits: bool) -> dict[str, Any]:
    # Not "label", which is one class a sample.
    probability = _sigmoid(x, logits)
    return {"labels": _whole(probability > 0.5), "probability": probability}


def _decode_values(x: Any, logits: bool) -> dict[str, Any]:
    return {"value": x[..., 0] if len(x.shape) > 1 and x.shape[-1] == 1 else x}


def _whole(x: Any) -> Any:
    return ops.cast(x, "int32")


def _binary_accuracy(name: str) -> Callable[[bool], list[keras.metrics.Metric]]:
    return lambda logits: [
        keras.metrics.BinaryAccuracy(name=name, threshold=0.0 if logits else 0.5)
    ]


def _softmax(x: Any, logits: bool) -> Any:
    return ops.softmax(x, axis=-1) if logits else x


def _sigmoid(x: Any, logits: bool) -> Any:
    return ops.sigmoid(x) if logits else x


_ROWS = (
    AdoptedLabels(
        "classification",
        "whole class labels in 0...{last} (-1 or NaN: unlabelled)",
        lambda logits: keras.losses.SparseCategoricalCrossentropy(from_logits=logits),
        lambda logits: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        ("accuracy", "max"),
        keras.metrics.SparseCategoricalAccuracy,
        _decode_classes,
        _softmax,
        _class_shapes,
        lambda y, n: (y < 0) | (y >= n) | (y != np.floor(y)),
    ),
    AdoptedLabels(
        "one_hot",
        "one-hot labels (a row of -1 or NaN: unlabelled)",
        lambda logits: keras.losses.CategoricalCrossentropy(from_logits=logits),
        lambda logits: [keras.metrics.CategoricalAccuracy(name="accuracy")],
        ("accuracy", "max"),
        keras.metrics.CategoricalAccuracy,
        _decode_classes,
        _softmax,
        lambda shape: [shape],
        lambda y, n: (y < 0) | (y > 1),
    ),
    AdoptedLabels(
        "binary",
        "labels 0 or 1 (-1 or NaN: unlabelled)",
        lambda logits: keras.losses.BinaryCrossentropy(from_logits=logits),
        _binary_accuracy("accuracy"),
        ("accuracy", "max"),
        keras.metrics.BinaryAccuracy,
        _decode_binary,
        _sigmoid,
        _value_shapes,
        lambda y, n: (y != 0) & (y != 1),
    ),
    AdoptedLabels(
        "multi_label",
        "a row of labels 0 or 1 (a row of -1 or NaN: unlabelled)",
        lambda logits: keras.losses.BinaryCrossentropy(from_logits=logits),
        _binary_accuracy("binary_accuracy"),
        ("binary_accuracy", "max"),
        keras.metrics.CategoricalAccuracy,
        _decode_labels,
        _sigmoid,
        _value_shapes,
        lambda y, n: (y != 0) & (y != 1),
    ),
    AdoptedLabels(
        "regression",
        "finite numbers (NaN: unlabelled)",
        lambda logits: keras.losses.MeanSquaredError(),
        lambda logits: [keras.metrics.MeanAbsoluteError(name="mae")],
        ("mae", "min"),
        keras.metrics.CategoricalAccuracy,
        _decode_values,
        lambda outputs, logits: outputs,
        _value_shapes,
        lambda y, n: np.zeros(y.shape, bool),
    ),
    AdoptedLabels(
        "unchecked",
        "labels that the loss takes (NaN, or the integer -1: unlabelled)",
        lambda logits: keras.losses.MeanSquaredError(),
        lambda logits: [],
        ("loss", "min"),
        keras.metrics.CategoricalAccuracy,
        _decode_values,
        lambda outputs, logits: outputs,
        lambda shape: [],
        lambda y, n: np.zeros(y.shape, bool),
    ),
)
#: The kinds by name. `"unchecked"`: only the user's own loss knows.
KINDS: Mapping[str, AdoptedLabels] = {row.name: row for row in _ROWS}
