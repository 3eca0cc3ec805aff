"""The model that one would begin with: a small backbone, and a head for each kind of labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from mtlkit.backbones import ConvBackbone, DenseBackbone
from mtlkit.datasets.multitask_data import MultiTaskData
from mtlkit.heads import (
    ClassificationHead,
    Head,
    MultiLabelHead,
    OrdinalHead,
    OrientationHead,
    RegressionHead,
)
from mtlkit.layers import InputNormalization
from mtlkit.model import MultiTaskModel
from mtlkit.model.task import Task
from mtlkit.references._kinds import input_kind

#: Channels of the stages of a backbone of images; of small ones, the first.
_FILTERS = (32, 64, 128, 128, 128)
#: Channels of the convolutions over a sequence, and of the embedding of tokens.
_OVER_STEPS, _EMBEDDED = (64, 128, 128), 64
#: A shorter sequence is not halved.
_LEAST_STEPS = 8


def default_model(data: MultiTaskData) -> MultiTaskModel:
    """Returns the model that one would begin with, for data of any kind; it is not compiled.

    Images get a `ConvBackbone`, of three stages, and of up to five where they are larger; columns
    a `DenseBackbone`; sequences, standardised, three convolutions over their steps; and tokens
    (whole numbers whose columns share one range) an embedding before two of these. Each task gets
    the head of its kind, as `data.kind(task)` says: `ClassificationHead`, `RegressionHead`,
    `OrientationHead`, `OrdinalHead` or `MultiLabelHead`, with its defaults.

    Args:
        data: Images of shape `(samples, height, width, channels)`, or with channels first where
            that is Keras's data format, columns of shape `(samples, columns)`, sequences of shape
            `(samples, steps, values)`, or tokens of shape `(samples, steps)`.

    Returns:
        A `mtlkit.MultiTaskModel` with new weights.

    Raises:
        ValueError: If inputs are something else, or a task has a single class.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl

        rng = np.random.default_rng(0)
        x, y = rng.random((40, 3)), {"kind": rng.integers(4, size=40), "size": rng.random(40)}
        data = mtl.datasets.MultiTaskData(x, y, x, y, x, y)
        model = mtl.datasets.default_model(data)
        assert isinstance(model.tasks["kind"].head, mtl.heads.ClassificationHead)
        ```
    """
    tasks = [Task(task, _head(data, task)) for task in data.tasks]
    return MultiTaskModel(_backbone(data), tasks)


def _backbone(data: MultiTaskData) -> Any:
    shape = data.x_train.shape[1:]
    kind = input_kind(data.x_train)
    if kind == "columns":
        return DenseBackbone(shape[0])
    if kind == "sequences":
        normalization = InputNormalization(name="input")
        normalization.adapt(data.x_train)
        return keras.Sequential([keras.Input(shape), normalization, *_over_steps(shape[0])])
    if kind == "tokens":
        known = 1 + max(int(x.max()) for x in (data.x_train, data.x_val, data.x_test) if len(x))
        embedding = keras.layers.Embedding(known, _EMBEDDED)
        return keras.Sequential([keras.Input(shape), embedding, *_over_steps(shape[0])[1:]])
    first = keras.config.image_data_format() == "channels_first"
    side = min(shape[1:] if first else shape[:2])
    halvings = int(math.log2(side))
    stages = min(max(3, halvings - 2), halvings + 1, len(_FILTERS))
    return ConvBackbone(shape, filters=_FILTERS[:stages])


def _over_steps(steps: int) -> list[Any]:
    """Convolutions over the steps of a sequence, which halve a long one."""
    layers = []
    for number, channels in enumerate(_OVER_STEPS):
        stride = 2 if number and steps >= _LEAST_STEPS else 1
        steps //= stride
        layers.append(keras.layers.Conv1D(channels, 5, stride, "same", activation="relu"))
    return layers


def _head(data: MultiTaskData, task: str) -> Head:
    try:
        return _HEADS[data.kind(task).name](data, task)
    except ValueError as error:
        raise ValueError(f"Task {task!r}, {data.kind(task)}: {error}") from error


def _orientation(data: MultiTaskData, task: str) -> Head:
    degrees = data.y_train[task].dtype.kind == "f"
    options: dict[str, Any] = {"labels": "degrees"} if degrees else {}
    if data.x_train.ndim < 4:  # no positions to keep
        options["spatial"] = "pool"
    return OrientationHead(data.num_classes(task), **options)


def _width(data: MultiTaskData, task: str) -> int:
    labels = data.y_train[task]
    return 1 if labels.ndim == 1 else labels.shape[-1]


#: The head of each kind of labels.
_HEADS: dict[str, Callable[[MultiTaskData, str], Head]] = {
    "classes": lambda data, task: ClassificationHead(data.num_classes(task)),
    "values": lambda data, task: RegressionHead(_width(data, task)),
    "orientation": _orientation,
    "ordinal": lambda data, task: OrdinalHead(data.num_classes(task)),
    "labels": lambda data, task: MultiLabelHead(_width(data, task)),
}
