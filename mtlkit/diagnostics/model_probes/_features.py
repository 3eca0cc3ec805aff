"""What the frozen trunk gives to a task: its feature map, and what a linear probe reads from it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit.backbones._feature_maps import FeatureMaps
from mtlkit.diagnostics._training.score import Score
from mtlkit.diagnostics._training.trainer import outputs_of
from mtlkit.model import MultiTaskModel
from mtlkit.model._wiring import feature_names
from mtlkit.model.task import Task
from mtlkit.references._ridge import Ridge, one_hot

#: The most features that a linear probe reads, and the cells of its grid along each side.
_FEATURES, _GRID = 2048, 4


def map_reader(model: MultiTaskModel, task: Task) -> keras.Model:
    """Returns a model from inputs to the feature map that a task reads.

    Of a task that reads several maps it is the last one; of a head that reads quarter turns
    of the image, the upright map.
    """
    maps = FeatureMaps(model.backbone, model.get_config()["input_shape"])
    names = feature_names(maps, task)
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


def probed(features: NDArray, y: NDArray, score: Score, judged: NDArray) -> NDArray[np.float64]:
    """The skill of a ridge regression on features, for samples that it was not fitted to.

    Args:
        features: Array of shape `(samples, features)`.
        y: Their labels.
        score: How the task is judged.
        judged: Numbers of the samples to judge.
    """
    targets = score.targets(y)
    wanted = one_hot(targets, score.num_classes) if score.of_classes else targets
    spread = features.std(axis=0)
    alive = spread > 1e-6 * max(float(spread.max()), 1e-12)
    if float(spread.max()) < 1e-12:  # constant features: the mean is the prediction
        left_out = np.repeat(wanted.mean(axis=0, keepdims=True), len(wanted), axis=0)
    else:
        scaled = (features[:, alive] - features[:, alive].mean(axis=0)) / spread[alive]
        left_out = Ridge(scaled).left_out(wanted)
    return score.rows_of_scores(left_out[judged], y[judged])


def effective_rank(features: NDArray) -> float:
    """The effective number of directions that features vary in (RankMe).

    `exp(-sum_i p_i log p_i)` with the singular values of the centred features, divided by
    their sum, as `p`; 0 for constant features.

    Args:
        features: Array of shape `(samples, features)`.
    Reference:
        [Garrido et al., RankMe, 2023](https://arxiv.org/abs/2210.02885)
    """
    values = np.linalg.svd(features - features.mean(axis=0), compute_uv=False).astype("float64")
    if values.sum() <= 1e-6 * max(1.0, float(np.abs(features).max())) * len(features) ** 0.5:
        return 0.0
    share = values / values.sum()
    share = share[share > 0]
    return float(np.exp(-np.sum(share * np.log(share))))


def dead_share(maps: NDArray) -> float:
    """The share of channels that are constant over all samples and positions."""
    channels = maps.reshape(-1, maps.shape[-1])
    scale = max(float(np.abs(channels).max()), 1e-12)
    return float(np.mean(channels.std(axis=0) <= 1e-6 * scale))


def passing_model(maps: NDArray, task: Task) -> Any:
    """A model of one task that reads maps in place of images, so that only its head trains."""
    inputs = keras.Input(maps.shape[1:], name="feature_map_input")
    backbone = keras.Model(inputs, keras.layers.Identity(name="feature_map")(inputs))
    return MultiTaskModel(backbone, [task])
