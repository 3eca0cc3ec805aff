"""Weights by how uncertain the tasks are."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.scalarization.loss_weighting import LEAST_LOSS, LossWeighting, softmax


@keras.saving.register_keras_serializable(package="mtlkit")
class UncertaintyWeighting(LossWeighting):
    """Weights that are trained as the uncertainties of the tasks (UW).

    `L = sum_i (exp(-s_i) l_i + s_i) / 2`, where the log-variances `s_i` are trained with the model.
    Left to themselves they come to `exp(s_i) = l_i`, so a task with a large loss has a small
    weight. It costs nothing. The state is `"log_variances"`, of shape `(tasks,)`.

    Source: Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses", 2018,
    arXiv 1705.07115.

    Use it for losses on different scales, as the first method to try: in independent comparisons it
    is seldom far from the best. The learning rate of the model is that of the weights, too; with a
    small one they need long to move.

    Args:
        initial: The log-variances at the start; 0 for weights of one half.

    Example:
        ```python
        from mtlkit.balancing import UncertaintyWeighting

        assert float(UncertaintyWeighting()([0.5, 2.0, 8.0])) == 5.25
        ```
    """

    learned = ("log_variances",)

    def __init__(self, initial: float = 0.0) -> None:
        self.initial = float(initial)
        super().__init__()

    def initial_state(self, num_tasks: int) -> dict[str, Any]:
        return {"log_variances": ops.full((num_tasks,), self.initial, dtype="float32")}

    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        logs = state["log_variances"]
        return ops.sum(present * (ops.exp(-logs) * losses + logs)) / 2, state

    def get_config(self) -> dict[str, Any]:
        return {"initial": self.initial}


@keras.saving.register_keras_serializable(package="mtlkit")
class SoftOptimalUncertaintyWeighting(LossWeighting):
    """The weights at which uncertainty weighting would arrive, made even by a softmax (UW-SO).

    `L = K sum_i w_i l_i` with `w = softmax(1 / (l T))`, through which no gradient flows. Instead
    of training log-variances it takes their optimum, `1 / l_i`. The weights sum to the number of
    tasks, as equal ones do. It costs nothing and has no state.

    Source: Kirchdorfer et al., "Analytical Uncertainty-Based Loss Weighting in Multi-Task
    Learning", 2024, arXiv 2408.07985.

    Use it in place of `mtlkit.balancing.UncertaintyWeighting` where the weights are to follow at
    once. The temperature has to be tuned: with a low one, a task with a small loss takes all.

    Args:
        temperature: `T`, above 0; the higher, the more even the weights.

    Raises:
        ValueError: If the temperature is not above 0.

    Example:
        ```python
        from mtlkit.balancing import SoftOptimalUncertaintyWeighting

        even = SoftOptimalUncertaintyWeighting(temperature=1e9)
        assert abs(float(even([0.5, 2.0, 8.0])) - 10.5) < 1e-4
        ```
    """

    def __init__(self, temperature: float = 10.0) -> None:
        if not 0 < temperature < float("inf"):
            raise ValueError(f"Expected temperature > 0. Received: temperature={temperature!r}")
        self.temperature = float(temperature)
        super().__init__()

    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        inverse = 1 / ops.maximum(losses, LEAST_LOSS)
        weights = ops.stop_gradient(softmax(inverse / self.temperature, present))
        return ops.sum(present) * ops.sum(weights * losses), state

    def get_config(self) -> dict[str, Any]:
        return {"temperature": self.temperature}
