"""The sum of the gradients, all made as long as the longest one."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.balancing.aggregation._geometry import Geometry
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class DBMTL(GramianAggregator):
    """The sum of the gradients, all made as long as the longest one (DB-MTL).

    `d = max_j |g_j| sum_i g_i / |g_i|`. The method balances losses, too, by their logarithms, for
    which there is `mtlkit.balancing.LogWeighting`: `balancer=("log", "db_mtl")` is both. The
    original averages each gradient over the steps first, which takes a state as large as a
    gradient for each task; that is left out here. It costs next to nothing beside the lengths of
    the gradients.

    Source: Lin, Jiang, Ye, Zhang, Chen, Chen, Liu and Kwok, "Dual-Balancing for Multi-Task
    Learning", 2023, arXiv 2308.12029.

    Use it where one task drowns the others. A task that is nearly solved, whose gradient is mostly
    noise, is made as loud as all others. It does not look at conflicts.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import DBMTL

        assert np.allclose(DBMTL()(np.array([[10.0, 0.0], [0.0, 1.0]])), [10, 10])
        ```
    """

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        return geometry.present * geometry.longest, state
