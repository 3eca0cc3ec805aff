"""The best worst case near the mean of the gradients."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry, epsilon, inverse, length_of, times
from mtlkit.balancing.aggregation._nonnegative_quadratic import pivoted, ridge
from mtlkit.balancing.aggregation.aggregator import GramianAggregator

_STEPS = 20


@keras.saving.register_keras_serializable(package="mtlkit")
class CAGrad(GramianAggregator):
    """The vector near the mean of the gradients that is best for the task that it helps least.

    `d` maximises `min_i g_i @ d` over `|d - m| <= c |m|`, with the mean `m`. At `c = 0` that is
    the mean; as `c` grows, the method comes near `mtlkit.balancing.MGDA`. With `c < 1` it converges
    to a minimum of the mean loss. Equal gradients `g` give `(1 + c) g`, as in the paper; a
    result may be longer than every gradient, but not than `(1 + c) |m|`.

    `d` is the projection of `m` on `{d: g_i @ d >= t for all i}` with the largest `t` within reach.
    It is found exactly, by Newton's method over `t` with a small quadratic problem in each of a few
    steps. If several `d` are equally good, it is the one nearest to the mean.

    Source: Liu, Liu, Jin, Stone and Liu, "Conflict-Averse Gradient Descent for Multi-task
    Learning", 2021, arXiv 2110.14048.

    Use it to trade the mean loss for its worst task by one number. It looks at progress in losses
    as they are, so put these on comparable scales first. With `c < 1` it may make a task worse.

    Args:
        c: How far `d` may be from the mean, in lengths of the mean; at least 0.

    Raises:
        ValueError: If `c` is negative or not finite.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import CAGrad

        found = CAGrad(c=0.5)(np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]]))
        assert np.allclose(found, [0.183503, 1.204124, 1.204124], atol=1e-4)
        ```
    """

    averages = True

    def __init__(self, c: float = 0.5) -> None:
        if not 0 <= c < float("inf"):
            raise ValueError(f"Expected c >= 0. Received: c={c!r}")
        self.c = c
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        return {"c": self.c}

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        longest = geometry.longest
        mean = geometry.norms / longest / geometry.count
        if self.c == 0:
            return mean * longest, state
        matrix = geometry.cosines + ridge(geometry.cosines)
        products = times(matrix, mean)
        radius = self.c * length_of(mean, matrix)
        # g_i @ d >= t, of gradients of length 1, with t in units of the shortest gradient.
        ones = geometry.present * geometry.shortest * inverse(geometry.norms)
        within = geometry.present > 0
        safe = ops.where(within, ones, ops.ones_like(ones))
        # No d in reach does better than this t.
        level = ops.min(ops.where(within, (products + radius) / safe, float("inf")))
        level = ops.where(ops.any(within), level, ops.zeros_like(level))
        smallest = 4 * epsilon(geometry.dtype) ** 0.75

        def step(level: Any, added: Any, excess: Any) -> tuple[Any, Any, Any]:
            added = pivoted(matrix, (level * ones - products)[None, :])[0][0]
            distance = length_of(added, matrix)
            # The distance is a convex function of t with this slope.
            slope = ops.sum(ones * added) * inverse(distance)
            excess = ops.where(slope > 0, distance - radius, ops.zeros_like(distance))
            return level - excess * inverse(slope), added, excess

        _, added, _ = ops.while_loop(
            lambda level, added, excess: excess > smallest * radius,
            step,
            (level, ops.zeros_like(mean), ops.ones_like(level) + radius),
            maximum_iterations=_STEPS,
        )
        length = length_of(added, matrix)
        added = added * ops.where(length > radius, radius * inverse(length), 1.0)
        return geometry.present * (mean + added) * longest, state
