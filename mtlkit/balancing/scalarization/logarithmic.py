"""Sums and means of the logarithms of losses, in which their scales do not matter."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.scalarization.loss_weighting import LossWeighting, logarithms


@keras.saving.register_keras_serializable(package="mtlkit")
class LogWeighting(LossWeighting):
    """The sum of the logarithms of the losses, in which their scales do not matter.

    `L = sum_i log l_i`, so each task's gradient is divided by its loss: `1 / l_i` is its weight. A
    task that is nearly solved has a large one. It costs nothing. Losses have to be positive; one
    below 1e-8 has no gradient.

    Use it where losses are on different scales and none comes near 0. It is the baseline
    "scale-invariant" of Navon et al., 2022, arXiv 2202.01017.

    Example:
        ```python
        from mtlkit.balancing import LogWeighting

        assert abs(float(LogWeighting()([0.5, 2.0, 1.0]))) < 1e-6
        ```
    """

    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        return ops.sum(logarithms(losses, present)), state


@keras.saving.register_keras_serializable(package="mtlkit")
class GeometricMeanWeighting(LossWeighting):
    """The geometric mean of the losses (GLS), in which their scales do not matter.

    `L = (prod_i l_i)^(1 / K)`, so the weight of a task is `L / (K l_i)`: the ratios are those of
    `mtlkit.balancing.LogWeighting`, and all weights fall with the losses. It costs nothing. Losses
    have to be positive; one near 0 makes the weights of all others small.

    Source: Chennupati et al., "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss
    Strategy for Multi-Task Learning", 2019, arXiv 1904.08492.

    Example:
        ```python
        from mtlkit.balancing import GeometricMeanWeighting

        assert abs(float(GeometricMeanWeighting()([0.5, 2.0, 8.0])) - 2) < 1e-6
        ```
    """

    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        count = ops.sum(present)
        mean = ops.sum(logarithms(losses, present)) / ops.maximum(count, 1)
        return ops.where(count > 0, ops.exp(mean), ops.zeros_like(mean)), state
