"""The sum of the gradients."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class Sum(GramianAggregator):
    """The sum of the gradients, which is plain training on the sum of the losses.

    `d = sum_i g_i`. It costs next to nothing. Studies that tuned both found fixed weights of the
    losses hard to beat (Kurin et al. 2022, arXiv 2201.04122; Xin et al. 2022, arXiv 2209.11379):
    compare with them first. It lets a task with a large gradient decide alone, and may make
    another one worse.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import Sum

        assert np.allclose(Sum()(np.array([[1.0, 2.0], [3.0, 4.0]])), [4, 6])
        ```
    """

    def combine(
        self,
        gradients: Any,
        state: dict[str, Any],
        *,
        noise: Any = None,
        losses: Any = None,
    ) -> tuple[Any, dict[str, Any]]:
        return ops.sum(gradients, axis=0), state

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        return geometry.norms, state
