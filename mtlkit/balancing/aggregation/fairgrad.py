"""A vector that is fair to all tasks, by one of several notions of fairness."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.balancing.aggregation._geometry import Geometry
from mtlkit.balancing.aggregation._newton import fair_weights
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class FairGrad(GramianAggregator):
    """The vector that is fair to all tasks in the sense of alpha-fairness.

    `d = sum_i w_i g_i` with `(G @ w)_i = w_i^(-1 / alpha)`, for the Gramian `G`: it maximises
    `sum_i (g_i @ d)^(1 - alpha) / (1 - alpha)` over a ball. A small `alpha` comes near the largest
    total progress, 1 is `NashMTL(max_norm=0)`, and a large one helps the task with the least
    progress most. Always `d @ g_i > 0`. The equations are solved by Newton's method on cosines, to
    full precision in about eight steps.

    If all gradients are multiplied by `s`, `d` is by `s^((1 - alpha) / (1 + alpha))`. At 1, where
    it is not, it is not by single gradients, either: the scales of the losses do not matter.

    Source: Ban and Ji, "Fair Resource Allocation in Multi-Task Learning", 2024, arXiv 2402.15638.

    With an `alpha` below 0.5, gradients should be on comparable scales: otherwise progress of a
    task with a small one is lost in rounding, in float32 above all. Opposed gradients give about 0:
    the rounding of the gradients to the power of `1 / (1 + alpha)`.

    Use it to choose between total progress and the worst task by one number. Do not use it where
    a task may be left to itself: each has a say, a noisy one, too.

    Args:
        alpha: The notion of fairness, above 0.

    Raises:
        ValueError: If `alpha` is not positive or not finite.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import FairGrad

        found = FairGrad(alpha=2.0)(np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]]))
        assert np.allclose(found, [0.031274, 0.790817, 0.790817], atol=1e-4)
        ```
    """

    def __init__(self, alpha: float = 1.0) -> None:
        if not 0 < alpha < float("inf"):
            raise ValueError(f"Expected alpha > 0. Received: alpha={alpha!r}")
        self.alpha = alpha
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        return {"alpha": self.alpha}

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        return fair_weights(geometry, power=1.0 / self.alpha), state
