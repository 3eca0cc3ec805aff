"""What a backbone gives to a task: its feature map, and the map as features of a reference."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit.backbones._feature_maps import FeatureMaps
from mtlkit.model import MultiTaskModel
from mtlkit.model._outputs import outputs_of
from mtlkit.model._wiring import feature_names
from mtlkit.model.task import Task

#: The most features that a linear probe reads, and the cells of its grid along each side.
_FEATURES, _GRID = 2048, 4
#: Inputs whose maps are held at a time.
_AT_ONCE = 512


def map_reader(model: MultiTaskModel, task: Task | None = None) -> keras.Model:
    """Returns a model from inputs to the feature map that a task reads.

    Where a task reads several maps, it is the last one; where a head reads quarter turns of the
    image, the upright map. Without a task, it is the last map of the backbone.
    """
    maps = FeatureMaps(model.backbone, model.get_config()["input_shape"])
    names = () if task is None else feature_names(maps, task)
    feature = maps.get(names)[names[-1]] if names else maps.last
    if feature is maps.inputs:  # a model needs a layer
        feature = keras.layers.Identity()(feature)
    return keras.Model(maps.inputs, feature)


def last_positions(model: MultiTaskModel) -> str | None:
    """The name of the backbone's last map with two axes of positions; `None` without one."""
    maps = FeatureMaps(model.backbone, model.get_config()["input_shape"])
    names = [name for name, shape in maps.spatial.items() if len(shape) == 4]
    return names[-1] if names else None


def read_after(model: MultiTaskModel, task: Task, name: str) -> keras.Model | None:
    """The layers from a map of the backbone to the feature that a task reads, if it leads there."""
    maps = FeatureMaps(model.backbone, model.get_config()["input_shape"])
    end = (feature_names(maps, task) or maps.names)[-1]
    try:
        return keras.Model(maps.tensors[name], maps.tensors[end])
    except ValueError:  # more leads there, or it does not
        return None


def read_map(reader: keras.Model, images: NDArray, data_format: str | None = None) -> NDArray:
    """Returns feature maps, channels last; `data_format` is that of the backbone."""
    features = np.asarray(outputs_of(reader, images))
    data_format = data_format or keras.config.image_data_format()
    if features.ndim == 4 and data_format == "channels_first":
        features = np.moveaxis(features, 1, -1)
    return features.astype("float32", copy=False)


def grid_of_map(
    reader: keras.Model, inputs: Any, data_format: str | None = None
) -> NDArray[np.float32]:
    """Returns feature maps averaged over the cells of a grid, made of some inputs at a time.

    Maps with one axis of positions, such as those of sequences, are averaged over stretches.
    """
    count = len(keras.tree.flatten(inputs)[0])
    parts = []
    for start in range(0, count, _AT_ONCE):
        part = keras.tree.map_structure(
            lambda array, start=start: array[start : start + _AT_ONCE], inputs
        )
        maps = read_map(reader, part, data_format)
        parts.append(on_grid(maps[:, :, None] if maps.ndim == 3 else maps))
    return np.concatenate(parts)


def on_grid(features: NDArray, grid: int | None = None) -> NDArray[np.float32]:
    """Averages maps over the cells of a grid, and flattens it; vectors stay as they are.

    Args:
        features: Maps of shape `(samples, height, width, channels)`.
        grid: Cells along each side; 1 for the average over all positions. `None`: 4, or
            fewer, so that there are at most 2048 features.

    Returns:
        Array of shape `(samples, features)`.
    """
    if features.ndim != 4:
        return features.reshape(len(features), -1)
    _, height, width, channels = features.shape
    if grid is None:
        grid = max(1, min(_GRID, int((_FEATURES / channels) ** 0.5)))
    rows, columns = (np.array_split(np.arange(side), min(grid, side)) for side in (height, width))
    cells = [
        features[:, r[0] : r[-1] + 1, c[0] : c[-1] + 1].mean(axis=(1, 2))
        for r in rows
        for c in columns
    ]
    return np.concatenate(cells, axis=1)
