"""The sum of the gradients, each turned until it is as similar to the others as is usual."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry, at_least, epsilon, inverse
from mtlkit.balancing.aggregation._in_turn import in_turn
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class GradVac(GramianAggregator):
    """The sum of the gradients, each turned towards others to which it is less similar than usual.

    Each gradient meets the others in an order that is drawn. Where the cosine `c` with the other
    one is below its moving average `a`, it is turned until it is the average:
    `g_i += g_j |g_i| (a sqrt(1 - c^2) - c sqrt(1 - a^2)) / (|g_j| sqrt(1 - a^2))`. Then `a` becomes
    `(1 - beta) a + beta c`. Averages begin at 0, where this is `mtlkit.balancing.PCGrad`. `d` is
    the sum of what results. It costs `K` steps on matrices `(tasks, tasks)`, and keeps one.

    The state is `"averages"`, of shape `(tasks, tasks)`. After a long time of nearly equal
    gradients, an average is near 1, and a gradient that turns away becomes very long, by the
    definition of the method.

    Source: Wang, Tsvetkov, Firat and Cao, "Gradient Vaccine: Investigating and Improving Multi-task
    Optimization in Massively Multilingual Models", 2020, arXiv 2010.05874.

    Use it for tasks that are alike, such as one task in many languages. Do not use it for unlike
    ones: what they share by chance becomes a target.

    Args:
        beta: How fast averages follow, in [0, 1].
        seed: Makes calls reproducible; `None` for other orders each time.

    Raises:
        ValueError: If `beta` is out of range.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import GradVac

        vaccine, gradients = GradVac(beta=0.5, seed=0), np.array([[1.0, 0.0], [0.6, 0.8]])
        assert np.allclose(vaccine(gradients), [1.6, 0.8])  # the average was 0, and is 0.3 now
        assert not np.allclose(vaccine(np.array([[1.0, 0.0], [0.0, 1.0]])), [1, 1])
        ```
    """

    def __init__(self, beta: float = 0.5, seed: int | None = None) -> None:
        if not 0 <= beta <= 1:
            raise ValueError(f"Expected beta in [0, 1]. Received: beta={beta!r}")
        self.beta = beta
        self.seed = seed
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        return {"beta": self.beta, "seed": self.seed}

    def initial_state(self, num_tasks: int) -> dict[str, Any]:
        return {"averages": ops.zeros((num_tasks, num_tasks), dtype="float32")}

    def noise_shape(self, num_tasks: int, num_parameters: int) -> tuple[int, ...] | None:
        return num_tasks, num_tasks

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        # Below 1, so that what has this cosine has a length.
        highest = 1 - epsilon(geometry.dtype) ** 0.5

        def step(gradients: Any, met: Any, other: Any, averages: Any) -> tuple[Any, Any]:
            products = gradients @ geometry.cosines
            squares = ops.sum(products * gradients, axis=1)
            lengths = ops.sqrt(at_least(squares, 0.0))
            cosines = ops.sum(products * met, axis=1) * inverse(lengths)
            cosines = ops.clip(cosines, -1.0, 1.0)
            usual = ops.sum(averages * met, axis=1)
            target = ops.clip(usual, -highest, highest)
            sine, sine_now = ops.sqrt(1 - target**2), ops.sqrt(1 - cosines**2)
            added = lengths * (target * sine_now - cosines * sine) / sine
            averages = averages + (other * self.beta * (cosines - usual))[:, None] * met
            return ops.where(cosines < target, added, 0.0), averages

        weights, averages = in_turn(geometry, noise, step, state["averages"])
        return weights, {"averages": averages}
