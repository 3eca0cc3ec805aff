"""Labels that do not fit their loss."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mtlkit.diagnostics._preflight._problem import Problem
from mtlkit.diagnostics._preflight._program import Output, Program
from mtlkit.diagnostics.thresholds import FEW_VALUES, NORMALISED
from mtlkit.metrics._labels import is_one_hot


def missing_labels(program: Program) -> Iterator[Problem]:
    """Tasks without labels, and labels that are NaN where nothing leaves them out."""
    for out in program.outputs:
        if out.labels is None:
            if out.loss is not None:
                yield Problem(
                    "no_labels",
                    "warning",
                    f"{out.name!r} has a loss, but no labels.",
                    task=out.name,
                )
            continue
        there = out.labelled
        if not there.any():
            yield Problem("no_labels", "error", f"{out.name!r} has no label.", task=out.name)
        elif out.head is None and out.labels.dtype.kind == "f" and np.isnan(out.labels).any():
            share = float(1 - there.mean())
            yield Problem(
                "nan_labels",
                "error",
                f"{100 * share:.3g} % of the labels of {out.name!r} are NaN, which makes the loss "
                "NaN: plain Keras leaves no sample out.",
                "model = mtlkit.MultiTaskModel.from_keras(model)  # leaves them out",
                out.name,
                value=share,
            )


def no_shared_samples(program: Program) -> Iterator[Problem]:
    """Pairs of tasks of which no sample has both labels."""
    there = {out.name: out.labelled for out in program.outputs if out.labels is not None}
    names = list(there)
    for number, one in enumerate(names):
        for other in names[number + 1 :]:
            if there[one].any() and there[other].any() and not (there[one] & there[other]).any():
                yield Problem(
                    "no_shared_samples",
                    "hint",
                    f"No sample has a label of both {one!r} and {other!r}: shuffle, so that "
                    "batches have some of each.",
                    task=one,
                )


def wrong_labels(program: Program) -> Iterator[Problem]:
    """Labels of the wrong kind or range for the loss."""
    for out in program.outputs:
        if out.labels is None or out.loss is None or not out.labels.size:
            continue
        if out.head is not None:
            try:
                out.head.validate_labels(out.labels, task=out.name)
            except ValueError as error:
                yield Problem("wrong_labels", "error", str(error), task=out.name)
            continue
        if out.labels.dtype.kind not in "fiub":
            yield Problem(
                "wrong_labels",
                "error",
                f"Labels of {out.name!r} are {out.labels.dtype}, not numbers.",
                "classes, y = np.unique(y, return_inverse=True)",
                out.name,
            )
        elif out.kind in _BY_KIND and np.isfinite(out.labels).all():  # or it was said before
            yield from _BY_KIND[out.kind](out, out.labels.astype("float64"))


def one_label(program: Program) -> Iterator[Problem]:
    """Labels that are all the same."""
    for out in program.outputs:
        if out.labels is None or out.kind not in _BY_KIND or out.labels.dtype.kind not in "fiub":
            continue
        known = out.labels[out.labelled]
        if len(known) > 1 and (known == known[:1]).all():
            yield Problem(
                "one_label",
                "warning",
                f"All {len(known)} labels of {out.name!r} are the same: there is nothing to learn.",
                task=out.name,
            )


def _of_classes(out: Output, labels: NDArray) -> Iterator[Problem]:
    """Integers `0 ... units - 1`, for a sparse categorical crossentropy."""
    if is_one_hot(labels) and labels.ndim == len(out.tensor.shape) and labels.shape[-1] > 1:
        yield Problem(
            "one_hot_labels",
            "error",
            f"Labels of {out.name!r} have the shape {labels.shape}, one column a class; the loss "
            "takes the number of the class.",
            'model.compile(optimizer, loss="categorical_crossentropy")',
            out.name,
        )
        return
    if (labels != np.round(labels)).any():
        yield Problem(
            "wrong_labels",
            "error",
            f"Labels of {out.name!r} are no whole numbers, such as "
            f"{labels[labels != np.round(labels)][0]:g}; the loss takes classes.",
            'model.compile(optimizer, loss="mse")  # if they are values',
            out.name,
        )
        return
    low, high = int(labels.min()), int(labels.max())
    if low == -1 and high < out.units:
        yield Problem(
            "labels_out_of_range",
            "error",
            f"{int((labels == -1).sum())} labels of {out.name!r} are -1, which is no class: plain "
            "Keras leaves no sample out.",
            "model = mtlkit.MultiTaskModel.from_keras(model)  # leaves them out",
            out.name,
            out.layer,
            low,
        )
    elif low < 0 or high >= out.units:
        off = low == 1 and high == out.units
        yield Problem(
            "labels_out_of_range",
            "error",
            f"Labels of {out.name!r} go from {low} to {high}; {out.units} outputs are for the "
            f"classes 0 to {out.units - 1}" + (": they are counted from 1." if off else "."),
            "y = y - 1" if off else f"keras.layers.Dense({max(high + 1, 2)})  # one for each class",
            out.name,
            out.layer,
            high,
        )
    elif low == 1 and high == out.units - 1 and out.units > 2:
        yield Problem(
            "labels_off_by_one",
            "hint",
            f"Class 0 of {out.name!r} never occurs, and all others do: labels may be counted "
            "from 1.",
            "y = y - 1",
            out.name,
            out.layer,
        )
    elif high < out.units - 1:
        yield Problem(
            "unused_outputs",
            "hint",
            f"{out.name!r} has {out.units} outputs, and labels up to class {high}.",
            f"keras.layers.Dense({high + 1})",
            out.name,
            out.layer,
            out.units - high - 1,
        )


def _of_one_hot(out: Output, labels: NDArray) -> Iterator[Problem]:
    """Rows that sum to 1, for a categorical crossentropy."""
    if labels.ndim < len(out.tensor.shape) or labels.shape[-1] != out.units:
        numbered = labels.ndim == 1 or labels.shape[-1] == 1
        yield Problem(
            "labels_not_one_hot",
            "error",
            f"Labels of {out.name!r} have the shape {labels.shape}; the loss takes one column for "
            f"each of {out.units} classes.",
            'model.compile(optimizer, loss="sparse_categorical_crossentropy")' if numbered else "",
            out.name,
            value=labels.shape[-1],
        )
        return
    sums = labels.sum(axis=-1)
    if (labels < 0).any() or np.abs(sums - 1).max() > NORMALISED:
        many = sums.max() > 1 + NORMALISED
        yield Problem(
            "labels_not_one_hot",
            "error",
            f"Labels of {out.name!r} are no probabilities: rows sum to {sums.min():g} up to "
            f"{sums.max():g}, where the loss takes 1.",
            'model.compile(optimizer, loss="binary_crossentropy")  # several classes a sample'
            if many
            else "",
            out.name,
            value=float(sums.max()),
        )


def _of_binary(out: Output, labels: NDArray) -> Iterator[Problem]:
    """Numbers from 0 to 1, as many as there are outputs, for a binary crossentropy."""
    yield from _same_shape(out, labels)
    low, high = labels.min(), labels.max()
    if low >= 0 and high <= 1:
        return
    values = np.unique(labels)
    if len(values) == 2:
        text = f"are {values[0]:g} and {values[1]:g}"
        code = f"y = (y == {values[1]:g}).astype('float32')"
    else:
        text = f"go from {low:g} to {high:g}"
        code = (
            f"keras.layers.Dense({int(high) + 1}, activation='softmax')  "
            "# and loss='sparse_categorical_crossentropy'"
        )
    yield Problem(
        "labels_out_of_range",
        "error",
        f"Labels of {out.name!r} {text}; a binary crossentropy takes 0 and 1.",
        code,
        out.name,
        out.layer,
        float(high),
    )


def _of_values(out: Output, labels: NDArray) -> Iterator[Problem]:
    """Values, which may be classes by mistake."""
    yield from _same_shape(out, labels)
    values = np.unique(labels)
    whole = len(values) <= FEW_VALUES and (values == np.round(values)).all() and values[0] >= 0
    if not whole:
        return
    binary = len(values) == 2 and values[0] == 0 and values[1] == 1
    if binary and out.activation in ("sigmoid", "softmax", "tanh"):
        exclusive = is_one_hot(labels) and labels.shape[-1] > 1
        loss = "categorical_crossentropy" if exclusive else "binary_crossentropy"
        yield Problem(
            "values_loss_for_classes",
            "hint",
            f"Labels of {out.name!r} are 0 and 1, and the loss is one of values: where the "
            f"{out.activation} is sure and wrong, it hardly has a gradient.",
            f'model.compile(optimizer, loss="{loss}")',
            out.name,
        )
    elif out.units == 1:
        yield Problem(
            "values_loss_for_classes",
            "hint",
            f"Labels of {out.name!r} are {len(values)} whole numbers, and the loss is one of "
            "values: if they are classes, their order is learned as a distance.",
            'model.compile(optimizer, loss="sparse_categorical_crossentropy")  # one output a class'
            if not binary
            else 'model.compile(optimizer, loss="binary_crossentropy")',
            out.name,
        )


def _same_shape(out: Output, labels: NDArray) -> Iterator[Problem]:
    """Labels that Keras would compare with outputs of another shape, number by number."""
    per_sample = int(np.prod(labels.shape[1:]))
    expected = int(np.prod([n or 1 for n in out.tensor.shape[1:]]))
    if per_sample == expected or None in tuple(out.tensor.shape[1:]):
        return
    classes = out.units > 1 and per_sample == 1
    yield Problem(
        "shape_mismatch",
        "error",
        f"{out.name!r} has {expected} outputs for a sample, and {per_sample} labels: every output "
        "is compared with every label."
        if classes or expected == 1
        else f"{out.name!r} has {expected} outputs for a sample, and {per_sample} labels.",
        f"keras.layers.Dense({per_sample})" if per_sample != 1 else "",
        out.name,
        out.layer,
        float(expected),
    )


_BY_KIND = {
    "classification": _of_classes,
    "one_hot": _of_one_hot,
    "binary": _of_binary,
    "multi_label": _of_binary,
    "regression": _of_values,
}
