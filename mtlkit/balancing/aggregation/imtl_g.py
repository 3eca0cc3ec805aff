"""The vector with the same projection on all gradients."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry, inverse, length_of
from mtlkit.balancing.aggregation._spectrum import equal_projections
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class IMTLG(GramianAggregator):
    """The vector with the same projection on all gradients, by weights that sum to 1.

    `d = sum_i w_i g_i` with `d @ g_i / |g_i|` equal for all tasks and `sum_i w_i = 1`. Weights may
    be negative. It costs the eigenvalues of a matrix `(tasks, tasks)`.

    The published rule fails where weights sum to about 0 or less: `d` is then very long, or points
    against every task. Here `d` always points to where its projections are positive, and is
    at most as long as the longest gradient. Linearly dependent gradients have projections that are
    as equal as least squares make them; exactly opposed ones give 0.

    Source: Liu, Li, Kuang, Xue, Chen, Yang, Liao and Zhang, "Towards Impartial Multi-task
    Learning", 2021, International Conference on Learning Representations.

    Use it where tasks of different scales should all improve at the same rate. The length of `d`
    is mostly that of the smaller gradients. Do not use it with more tasks than parameters, or with
    tasks that are copies of each other.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import IMTLG

        found = IMTLG()(np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]]))
        assert np.allclose(found, [0.076697, 1.0, 1.0], atol=1e-4)
        ```
    """

    averages = True

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        weights = equal_projections(geometry)
        length = length_of(weights, geometry.cosines)
        shortest = geometry.shortest
        total = ops.sum(weights * shortest * inverse(geometry.norms))
        # A sum of weights so small that d would be too long.
        least = length * (shortest / geometry.longest)
        return weights * shortest * inverse(ops.where(total > least, total, least)), state
