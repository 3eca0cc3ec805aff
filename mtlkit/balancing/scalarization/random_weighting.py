"""Weights that are drawn anew in each step."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from mtlkit.balancing.scalarization.loss_weighting import LossWeighting, softmax


@keras.saving.register_keras_serializable(package="mtlkit")
class RandomWeighting(LossWeighting):
    """Weights that are drawn anew in each step (RLW).

    `L = K sum_i w_i l_i` with `w = softmax(z)`, `z` drawn from a standard normal distribution. On
    average all weights are 1. It costs nothing and has no state but its draws.

    Source: Lin, Ye, Zhang and Tsang, "Reasonable Effectiveness of Random Weighting: A Litmus Test
    for Multi-Task Learning", 2022, arXiv 2111.10603.

    Use it as a control: a method that is not better than random weights has not found good ones.

    Args:
        seed: Makes calls reproducible; `None` for other weights each time.

    Example:
        ```python
        from mtlkit.balancing import RandomWeighting

        one, other = RandomWeighting(seed=0), RandomWeighting(seed=0)
        assert float(one([0.5, 2.0, 8.0])) == float(other([0.5, 2.0, 8.0]))
        ```
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        super().__init__()

    def noise_shape(self, num_tasks: int) -> tuple[int, ...] | None:
        return 2, num_tasks

    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        even, angle = noise[0], noise[1]
        # Normal from even numbers (Box and Muller); 1 - u, since u may be 0.
        normal = ops.sqrt(-2 * ops.log(1 - even)) * ops.cos(2 * math.pi * angle)
        weights = softmax(ops.cast(normal, losses.dtype), present)
        return ops.sum(present) * ops.sum(weights * losses), state

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}
