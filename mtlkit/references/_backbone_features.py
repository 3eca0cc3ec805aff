"""What a backbone gives to a task: its feature map, and the map as features of a reference."""

from __future__ import annotations

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


def map_reader(model: MultiTaskModel, task: Task | None = None) -> keras.Model:
    """Returns a model from inputs to the feature map that a task reads.

    Of a task that reads several maps it is the last one; of a head that reads quarter turns
    of the image, the upright map. Without a task, it is the last map of the backbone.
    """
    maps = FeatureMaps(model.backbone, model.get_config()["input_shape"])
    names = () if task is None else feature_names(maps, task)
    feature = maps.get(names)[names[-1]] if names else maps.last
    if feature is maps.inputs:  # a model needs a layer
        feature = keras.layers.Identity()(feature)
    return keras.Model(maps.inputs, feature)


def read_map(reader: keras.Model, images: NDArray) -> NDArray:
    """Returns feature maps, channels last."""
    features = np.asarray(outputs_of(reader, images))
    if features.ndim == 4 and keras.config.image_data_format() == "channels_first":
        features = np.moveaxis(features, 1, -1)
    return features.astype("float32")


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
