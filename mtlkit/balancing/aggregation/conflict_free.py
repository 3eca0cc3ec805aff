"""The direction with the same cosine to all gradients."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry, epsilon, inverse, times
from mtlkit.balancing.aggregation._spectrum import equal_projections
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class ConFIG(GramianAggregator):
    """The direction with the same cosine to all gradients, as long as their projections together.

    With unit rows `U` and `x = pinv(U) @ ones`, `d = (sum_i g_i @ x) x / |x|^2`. If the gradients
    are linearly independent, all cosines between `d` and them are equal and positive. Otherwise
    they are as equal as least squares make them, and opposed gradients give 0. `d` is on the scale
    of the sum of the gradients, and at most as long as their lengths together. It costs the
    eigenvalues of a matrix `(tasks, tasks)`.

    Source: Liu, Chu and Thuerey, "ConFIG: Towards Conflict-free Training of Physics Informed Neural
    Networks", 2024, arXiv 2408.11104.

    Use it where tasks of different scales should all improve at the same rate, such as the losses
    of a physics-informed network. Do not use it with more tasks than parameters, or with tasks that
    are copies of each other.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import ConFIG

        gradients = np.array([[2.0, 0.0], [0.0, 1.0]])
        assert np.allclose(ConFIG()(gradients), [1.5, 1.5], atol=1e-5)
        ```
    """

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        weights = equal_projections(geometry)
        products = times(geometry.cosines, weights)
        square = ops.sum(weights * products)
        # Where least squares leave nothing, what is left is rounding.
        there = square > 8 * geometry.num_tasks * epsilon(geometry.dtype)
        along = ops.sum(geometry.norms * products)
        return weights * ops.where(there, along * inverse(square), 0.0), state
