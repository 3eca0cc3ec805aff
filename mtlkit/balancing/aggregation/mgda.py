"""The shortest vector between the gradients."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry, inverse
from mtlkit.balancing.aggregation._nonnegative_quadratic import nonnegative_minimum
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class MGDA(GramianAggregator):
    """The shortest mean of the gradients, by weights that are not negative and sum to 1.

    `d = sum_i w_i g_i`, where `w` minimises `|d|`. Then `d @ g_i >= |d|^2` for all tasks, so
    each gets better, and `d` is 0 only where the parameters are Pareto-stationary. The minimum is
    exact, at the cost of one small quadratic problem; common implementations stop early.

    Source: Desideri, "Multiple-gradient descent algorithm (MGDA) for multiobjective
    optimization", Comptes Rendus Mathematique 350, 2012; Sener and Koltun, "Multi-Task Learning as
    Multi-Objective Optimization", 2018, arXiv 1810.04650.

    Use it where each task has to improve in each step. The task with the smallest gradient decides
    most, so it stalls where one has converged, and it is only as fair as the losses are on the same
    scale. `d` is never longer than the shortest gradient.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import MGDA

        gradients = np.array([[2.0, 0.0], [0.0, 1.0]])
        assert np.allclose(MGDA()(gradients), [0.4, 0.8], atol=1e-5)
        ```
    """

    averages = True

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        # With the constraint as another coordinate, of size 1 in each gradient and in what is
        # wanted, the problem needs no constraint but weights >= 0, up to the scale of the
        # solution (Lawson and Hanson, "Solving Least Squares Problems", chapter 23).
        ones = geometry.present * geometry.shortest * inverse(geometry.norms)
        matrix = geometry.cosines + ones[:, None] * ones[None, :]
        found = nonnegative_minimum(matrix, ones[None, :])[0]
        total = ops.sum(found * ones)  # between 1/2 and 1
        return found * geometry.shortest / ops.where(total > 0, total, 1.0), state
