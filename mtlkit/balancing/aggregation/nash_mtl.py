"""The result of bargaining between the tasks."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry, inverse, length_of
from mtlkit.balancing.aggregation._newton import fair_weights
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class NashMTL(GramianAggregator):
    """The vector on which the tasks agree by Nash's bargaining: it maximises `sum log(g_i @ d)`.

    `d = sum_i a_i g_i` with `(G @ a)_i = 1 / a_i`, for the Gramian `G`. So `d @ g_i > 0` for all
    tasks, and `d` does not change if a gradient is multiplied by a positive number: the scales of
    the losses do not matter. The equations are solved by Newton's method on cosines, to full
    precision in about seven steps.

    The length of `d` is the root of the number of tasks, whatever the gradients, before it is
    limited to `max_norm`. So `d` says where to go, not how far: it does not get shorter near
    an optimum, and the learning rate has to. Where gradients cancel out exactly, `d` is shorter:
    opposed ones give about 0 (in float32, a thousandth of that length).

    Source: Navon, Shamsian, Achituve, Maron, Kawaguchi, Chechik and Fetaya, "Multi-Task Learning as
    a Bargaining Game", 2022, arXiv 2202.01017.

    Use it where the losses are on unrelated scales. Do not use it where a task may be left to
    itself: each has the same say, a noisy one, too.

    Args:
        max_norm: The largest length of `d`; 0 for no limit.

    Raises:
        ValueError: If `max_norm` is negative or not finite.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import NashMTL

        gradients = np.array([[3.0, 0.0], [0.0, 0.01]])
        assert np.allclose(NashMTL(max_norm=0)(gradients), [1, 1], atol=1e-5)
        ```
    """

    def __init__(self, max_norm: float = 1.0) -> None:
        if not 0 <= max_norm < float("inf"):
            raise ValueError(f"Expected max_norm >= 0. Received: max_norm={max_norm!r}")
        self.max_norm = max_norm
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        return {"max_norm": self.max_norm}

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        weights = fair_weights(geometry, power=1.0)
        if self.max_norm:
            length = length_of(weights, geometry.cosines)
            limit = self.max_norm * inverse(length)
            weights = weights * ops.where(length > self.max_norm, limit, 1.0)
        return weights, state
