"""The mean of the gradients, each without what conflicts with the others."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry
from mtlkit.balancing.aggregation._nonnegative_quadratic import nonnegative_minimum
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class UPGrad(GramianAggregator):
    """The mean of the projections of all gradients on what conflicts with none of them.

    `d = sum_i p_i / K`, where `p_i` is the vector nearest to `g_i` with `p_i @ g_j >= 0` for all
    tasks `j`. So `d` makes no task worse, to first order, and a task with twice the gradient has
    twice the say. `p_i = sum_j v_j g_j`, where `v` minimises `v @ G @ v` over `v_i >= 1`, the
    others `>= 0`: `K` small quadratic problems, solved exactly and together, on cosines, so that
    the promise holds whatever the lengths of the gradients. Where gradients cancel out, `d` is 0.

    Source: Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", 2024,
    arXiv 2406.16232.

    Use it where no task may get worse and the losses are on scales that mean something. Do not use
    it to even out losses of different scales: it keeps their proportions. It needs one gradient a
    task.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import UPGrad

        gradients = np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]])
        found = UPGrad()(gradients)
        assert np.allclose(found, [0.292398, 1.900585, 1.900585], atol=1e-5)
        assert (gradients @ found > -1e-6).all()
        ```
    """

    averages = True

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        # The weights of p_i / |g_i| are those of g_i / |g_i|, and what has to be added to them.
        added = nonnegative_minimum(geometry.cosines, -geometry.cosines)
        identity = ops.eye(geometry.num_tasks, dtype=geometry.dtype)
        weights = ops.sum(geometry.norms[:, None] * (identity + added), axis=0)
        return geometry.present * weights / geometry.count, state
