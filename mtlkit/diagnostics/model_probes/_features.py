"""What a linear probe reads from the frozen trunk, and how varied its features are."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit.diagnostics._training.score import Score
from mtlkit.model import MultiTaskModel
from mtlkit.model.task import Task
from mtlkit.references._ridge import Ridge, one_hot


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
