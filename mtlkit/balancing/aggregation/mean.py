"""The mean of the gradients."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry, at_least
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class Mean(GramianAggregator):
    """The mean of the gradients that are not zero.

    `d = sum_i g_i / n`, where `n` counts the rows that are not zero. It is `mtlkit.balancing.Sum`
    on another scale: see there for when to use it.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import Mean

        assert np.allclose(Mean()(np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]])), [2, 3])
        ```
    """

    averages = True

    def combine(
        self,
        gradients: Any,
        state: dict[str, Any],
        *,
        noise: Any = None,
        losses: Any = None,
    ) -> tuple[Any, dict[str, Any]]:
        present = ops.cast(ops.any(gradients != 0, axis=1), gradients.dtype)
        return ops.sum(gradients, axis=0) / at_least(ops.sum(present), 1.0), state

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        return geometry.norms / geometry.count, state
