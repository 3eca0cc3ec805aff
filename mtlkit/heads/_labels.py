"""Checks of labels, with errors for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mtlkit._arrays import numbering_cure
from mtlkit.metrics._labels import is_one_hot


def check_classes(y: Any, num_classes: int, task: str) -> None:
    """Checks class labels: integers in `0 ... num_classes - 1`, or -1 where missing.

    Args:
        y: Labels of shape `(samples,)` or `(samples, 1)`.
        num_classes: Number of classes.
        task: Name of the task, for the message.
    """
    y = np.asarray(y)
    expected = f"Task {task!r}: expected integer labels in 0...{num_classes - 1} (-1: unlabelled)"
    if y.ndim == 2 and y.shape[1] == num_classes and is_one_hot(y):
        raise ValueError(
            f"{expected}. Received: one-hot labels of shape {y.shape}. Give the classes: "
            "y.argmax(axis=-1)"
        )
    if not np.issubdtype(y.dtype, np.integer):
        given = y.reshape(-1).tolist()
        shown = ([one for one in given if isinstance(one, str)] or given)[:3]
        cure = _class_cure(y)
        raise ValueError(f"{expected}. Received: dtype={y.dtype}, labels={shown}...{cure}")
    _check_one_a_sample(y, 1, expected)
    wrong = np.flatnonzero((y.reshape(-1) < -1) | (y.reshape(-1) >= num_classes))
    if wrong.size:
        raise ValueError(
            f"{expected}. Received: {y.reshape(-1)[wrong[0]]} at sample {wrong[0]}"
            f" ({wrong.size} of {len(y)} labels are out of range)"
        )


def check_values(y: Any, units: int, task: str) -> None:
    """Checks labels of a regression: finite numbers, or NaN where missing.

    Args:
        y: Labels of shape `(samples, units)`, or `(samples,)` where `units` is 1.
        units: Number of values a sample.
        task: Name of the task, for the message.
    """
    y = np.asarray(y)
    expected = f"Task {task!r}: expected {units} finite number(s) a sample (NaN: unlabelled)"
    if not (np.issubdtype(y.dtype, np.floating) or np.issubdtype(y.dtype, np.integer)):
        raise ValueError(
            f"{expected}. Received: dtype={y.dtype}. Convert them first, such as by "
            'y.astype("float32") where each is a number'
        )
    _check_one_a_sample(y, units, expected)
    rows = y.reshape(len(y), units)
    if np.issubdtype(y.dtype, np.integer):
        if rows.min(initial=0) < -1 and np.any(rows == -1):
            raise ValueError(
                f"{expected}. Received: integers with -1, which means unlabelled, beside other "
                "negative values. Give them as floating-point numbers"
            )
        return
    infinite = np.flatnonzero(np.isinf(rows).any(axis=1))
    if infinite.size:
        raise ValueError(f"{expected}. Received: {rows[infinite[0]]} at sample {infinite[0]}")
    missing = np.isnan(rows)
    partly = np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1))
    if partly.size:
        raise ValueError(
            f"{expected}, all or none of them NaN. "
            f"Received: {rows[partly[0]]} at sample {partly[0]}"
        )


def check_entries(y: Any, num_labels: int, task: str) -> None:
    """Checks labels of which a sample has several: 0 or 1, or -1 or NaN where one is missing.

    Args:
        y: Labels of shape `(samples, num_labels)`.
        num_labels: Number of labels a sample.
        task: Name of the task, for the message.
    """
    y = np.asarray(y)
    expected = (
        f"Task {task!r}: expected {num_labels} labels a sample, each 0 or 1 (-1 or NaN: not known)"
    )
    if y.dtype.kind not in "biuf":
        raise ValueError(
            f"{expected}. Received: dtype={y.dtype}. Names of labels become such rows by "
            "sklearn.preprocessing.MultiLabelBinarizer().fit_transform(names)"
        )
    if y.ndim != 2 or y.shape[1] != num_labels:
        raise ValueError(
            f"{expected}, of shape (samples, {num_labels}). Received: shape {y.shape}. "
            + (
                "Give y[:, None]"
                if num_labels == 1
                else f"Classes become such rows by keras.utils.to_categorical(y, {num_labels})"
            )
        )
    if y.dtype.kind == "b":
        return
    missing = np.isnan(y) if y.dtype.kind == "f" else np.zeros(y.shape, bool)
    wrong = np.argwhere(~(missing | np.isin(y, (-1, 0, 1))))
    if wrong.size:
        row, column = wrong[0]
        raise ValueError(f"{expected}. Received: {y[row, column]} at sample {row}, label {column}")


def check_pixel_classes(y: Any, num_classes: int, size: Sequence[int | None], task: str) -> None:
    """Checks classes of pixels: integers in `0 ... num_classes - 1`, or -1 where missing.

    Args:
        y: Labels of shape `(samples, height, width)` or `(samples, height, width, 1)`.
        num_classes: Number of classes.
        size: Height and width of the outputs, `None` where not known.
        task: Name of the task, for the message.
    """
    y = np.asarray(y)
    expected = f"Task {task!r}: expected a class in 0...{num_classes - 1} a pixel (-1: unlabelled)"
    if y.ndim == 4 and y.shape[-1] == num_classes and is_one_hot(y):
        raise ValueError(
            f"{expected}. Received: one-hot labels of shape {y.shape}. Give the classes: "
            "y.argmax(axis=-1)"
        )
    if not np.issubdtype(y.dtype, np.integer):
        raise ValueError(f"{expected}. Received: dtype={y.dtype}.{_class_cure(y)}")
    _check_pixels(y, 1, size, expected, "nearest")
    least, most = int(y.min(initial=0)), int(y.max(initial=0))
    if least < -1 or most >= num_classes:
        wrong = least if least < -1 else most
        raise ValueError(
            f"{expected}. Received: {wrong}. Where {wrong} stands for no label, give "
            f'np.where(y == {wrong}, -1, y.astype("int64"))'
        )


def check_pixel_values(y: Any, units: int, size: Sequence[int | None], task: str) -> None:
    """Checks values of pixels: finite numbers, or NaN where missing.

    Args:
        y: Labels of shape `(samples, height, width, units)`, or `(samples, height, width)` where
            `units` is 1.
        units: Number of values a pixel.
        size: Height and width of the outputs, `None` where not known.
        task: Name of the task, for the message.
    """
    y = np.asarray(y)
    expected = f"Task {task!r}: expected {units} finite number(s) a pixel (NaN: unlabelled)"
    if y.dtype.kind not in "fiu":
        raise ValueError(
            f'{expected}. Received: dtype={y.dtype}. Convert them first, by y.astype("float32")'
        )
    _check_pixels(y, units, size, expected, "bilinear")
    if y.dtype.kind == "f" and np.isinf(y).any():
        raise ValueError(
            f"{expected}. Received: {y[np.isinf(y)][0]}. Where it stands for no label, give "
            "np.where(np.isinf(y), np.nan, y)"
        )
    if y.dtype.kind == "i" and y.min(initial=0) < -1 and (y == -1).any():
        raise ValueError(
            f"{expected}. Received: integers with -1, which means unlabelled, beside other "
            "negative values. Give them as floating-point numbers"
        )


def _check_pixels(
    y: np.ndarray, units: int, size: Sequence[int | None], expected: str, interpolation: str
) -> None:
    """Checks the shape of labels of pixels."""
    shapes = [(units,), ()] if units == 1 else [(units,)]
    if y.ndim < 3 or y.shape[3:] not in shapes:
        wanted = " or ".join(
            "(" + ", ".join(("samples", "height", "width", *map(str, shape))) + ")"
            for shape in shapes
        )
        raise ValueError(f"{expected}, of shape {wanted}. Received: shape {y.shape}")
    if any(known not in (None, own) for known, own in zip(size, y.shape[1:3], strict=True)):
        row = "y" if y.ndim == 4 else "y[..., None]"
        raise ValueError(
            f"{expected}, {size[0]} x {size[1]} of them, as many as the image has. Received: shape "
            f"{y.shape}. Resize them: keras.ops.image.resize({row}, {tuple(size)}, "
            f'interpolation="{interpolation}", data_format="channels_last")'
        )


def check_angles(y: Any, task: str) -> None:
    """Checks labels that are angles: floating-point degrees, or NaN where missing.

    Args:
        y: Labels of shape `(samples,)` or `(samples, 1)`.
        task: Name of the task, for the message.
    """
    y = np.asarray(y)
    if not np.issubdtype(y.dtype, np.floating):
        raise ValueError(
            f"Task {task!r}: expected angles in degrees, as floating-point numbers (NaN: "
            f'unlabelled), because of labels="degrees". Received: dtype={y.dtype}'
        )
    check_values(y, 1, task)


def _class_cure(y: np.ndarray) -> str:
    """What to do about class labels that are no integers."""
    if y.dtype.kind == "b":
        return ' Give y.astype("int64")'
    if y.dtype.kind == "f":
        missing = np.isnan(y)
        if np.any(np.mod(y[~missing], 1)):
            return " Values that are not whole are for a mtlkit.heads.RegressionHead"
        whole = "np.where(np.isnan(y), -1, y)" if missing.any() else "y"
        return f' Give {whole}.astype("int64")'
    return numbering_cure(y) or ' Give y.astype("int64"), with -1 where a label is missing'


def _check_one_a_sample(y: np.ndarray, units: int, expected: str) -> None:
    shapes = [(units,), ()] if units == 1 else [(units,)]
    if y.ndim == 0 or y.shape[1:] not in shapes:
        wanted = " or ".join(str(("samples", *shape)).replace("'", "") for shape in shapes)
        raise ValueError(f"{expected}, of shape {wanted}. Received: shape {y.shape}")
