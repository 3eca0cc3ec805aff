"""The sum of the losses, each with a weight that stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlkit.balancing.scalarization.loss_weighting import LossWeighting


@keras.saving.register_keras_serializable(package="mtlkit")
class EqualWeighting(LossWeighting):
    """The sum of the losses: what is trained without a balancer.

    `L = sum_i l_i`. The baseline that every other method has to beat, and the weights of the
    tasks are still there to be tuned: with tuned weights it is hard to beat (Xin et al., 2022,
    arXiv 2209.11379; Kurin et al., 2022, arXiv 2201.04122).

    Example:
        ```python
        from mtlkit.balancing import EqualWeighting

        assert float(EqualWeighting()([0.5, 2.0, 8.0])) == 10.5
        ```
    """

    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        return ops.sum(present * losses), state


@keras.saving.register_keras_serializable(package="mtlkit")
class FixedWeighting(LossWeighting):
    """The sum of the losses times weights that you give.

    `L = sum_i w_i l_i`. The same as `mtlkit.Task(weight=...)`, for weights that are to be compared
    with other methods, such as tuned ones.

    Args:
        weights: One for each task, in the order of the tasks.

    Raises:
        ValueError: If there is no weight, or one is negative.

    Example:
        ```python
        from mtlkit.balancing import FixedWeighting

        assert float(FixedWeighting([2.0, 1.0, 0.5])([0.5, 2.0, 8.0])) == 7.0
        ```
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = [float(weight) for weight in weights]
        if not self.weights or not all(0 <= weight < float("inf") for weight in self.weights):
            raise ValueError(
                f"Expected weights >= 0, one for each task. Received: weights={weights!r}"
            )
        super().__init__()

    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        if losses.shape[0] != len(self.weights):
            raise ValueError(
                f"Expected {len(self.weights)} tasks, one for each weight. "
                f"Received: {losses.shape[0]}"
            )
        weights = ops.cast(ops.convert_to_tensor(self.weights), losses.dtype)
        return ops.sum(present * weights * losses), state

    def get_config(self) -> dict[str, Any]:
        return {"weights": self.weights}
