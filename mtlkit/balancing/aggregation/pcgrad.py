"""The sum of the gradients, each without what conflicts with another one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry
from mtlkit.balancing.aggregation._in_turn import in_turn
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class PCGrad(GramianAggregator):
    """The sum of the gradients, from each of which conflicts with the others were projected away.

    Each gradient meets the others in an order that is drawn. Where their product is negative, its
    part along the other one is taken away: `g_i -= (g_i @ g_j) g_j / |g_j|^2`, by what is left of
    `g_i` and the other gradient as it was. `d` is the sum of what is left. It costs `K` steps on
    matrices `(tasks, tasks)`.

    Source: Yu, Kumar, Gupta, Levine, Hausman and Finn, "Gradient Surgery for Multi-Task Learning",
    2020, arXiv 2001.06782.

    Use it for two tasks, or as the well-known baseline. With more tasks what is left may conflict
    again; `mtlkit.balancing.UPGrad` has no conflicts, and draws nothing.

    Args:
        seed: Makes calls reproducible; `None` for other orders each time.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import PCGrad

        found = PCGrad(seed=0)(np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]]))
        assert np.allclose(found, [0.584795, 3.801170, 3.801170], atol=1e-4)
        ```
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}

    def noise_shape(self, num_tasks: int, num_parameters: int) -> tuple[int, ...] | None:
        return num_tasks, num_tasks

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        def step(gradients: Any, met: Any, other: Any, kept: Any) -> tuple[Any, Any]:
            products = ops.sum(gradients @ geometry.cosines * met, axis=1)
            return ops.where(products < 0, -products, 0.0), kept

        return in_turn(geometry, noise, step, None)[0], state
