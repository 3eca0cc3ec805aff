"""The sum of the gradients, weighted so that all tasks learn at the same rate."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry, at_least
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class GradNorm(GramianAggregator):
    """The weighted sum of the gradients, with weights that are learned so that tasks keep pace.

    `d = sum_i w_i g_i`. After each step, weights move to make the length of each `w_i g_i` the mean
    of these lengths times `r_i^alpha`, where `r_i` is the task's loss as a part of its first one,
    over the mean of these parts: a task that lags behind gets more weight. They descend
    `sum_i |w_i |g_i| - mean r_i^alpha|`, the targets held fixed, and sum to the number of tasks.
    It costs next to nothing beside the lengths of the gradients.

    Here the logarithms of the weights move, by slopes in units of the mean length: weights stay
    positive, and the scale of the losses does not matter. A step changes a weight by a factor of
    about `exp(learning_rate)`, more for a task with a gradient longer than the mean.

    The state is `"weights"` and `"first_losses"`, both of shape `(tasks,)`; 0 stands for a loss
    that was not seen yet. The weights of a task that takes no part stay as they are.

    Source: Chen, Badrinarayanan, Lee and Rabinovich, "GradNorm: Gradient Normalization for Adaptive
    Loss Balancing in Deep Multitask Networks", 2018, arXiv 1711.02257.

    Use it to find static weights for losses on different scales: those at the end of a run
    serve well in the next one. Losses have to be positive, and begin at a typical value. It does
    not look at conflicts.

    Args:
        alpha: How strongly a task that lags behind is favoured; 0 for equal lengths alone.
        learning_rate: The size of a step of the weights.

    Raises:
        ValueError: If `alpha` is negative, or `learning_rate` is not positive.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import GradNorm

        balance, gradients = GradNorm(), np.array([[10.0, 0.0], [0.0, 1.0]])
        assert np.allclose(balance(gradients, losses=[1.0, 1.0]), [10, 1])
        for _ in range(200):
            found = balance(gradients, losses=[1.0, 1.0])
        assert abs(found[0] / found[1] - 1) < 0.2
        ```
    """

    needs_losses = True

    def __init__(self, alpha: float = 1.5, learning_rate: float = 0.025) -> None:
        if not 0 <= alpha < float("inf"):
            raise ValueError(f"Expected alpha >= 0. Received: alpha={alpha!r}")
        if not 0 < learning_rate < float("inf"):
            raise ValueError(
                f"Expected learning_rate > 0. Received: learning_rate={learning_rate!r}"
            )
        self.alpha = alpha
        self.learning_rate = learning_rate
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "learning_rate": self.learning_rate}

    def initial_state(self, num_tasks: int) -> dict[str, Any]:
        return {
            "weights": ops.ones((num_tasks,), dtype="float32"),
            "first_losses": ops.zeros((num_tasks,), dtype="float32"),
        }

    def without_task(self, state: dict[str, Any], task: int) -> dict[str, Any]:
        first = ops.convert_to_numpy(state["first_losses"]).copy()
        first[task] = 0
        return {**state, "first_losses": first}

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        if losses is None:
            raise ValueError("Expected losses of shape (tasks,). Received: None")
        present, count, weights = geometry.present, geometry.count, state["weights"]
        # A loss of 0 is not known yet, as in the first step of a training.
        there = ops.logical_and(present > 0, losses != 0)
        known = at_least(ops.sum(ops.cast(there, geometry.dtype)), 1.0)
        losses = ops.cast(losses, geometry.dtype)
        first = ops.where(ops.logical_and(there, state["first_losses"] == 0), losses, 0.0)
        first = first + state["first_losses"]
        part = ops.where(there, losses / ops.where(first == 0, ops.ones_like(first), first), 0.0)
        mean_part = ops.sum(part) / known
        rate = part / ops.where(mean_part > 0, mean_part, ops.ones_like(mean_part))

        lengths = weights * geometry.norms / geometry.longest
        mean = ops.sum(lengths) / count
        relative = lengths / ops.where(mean > 0, mean, ops.ones_like(mean))
        slope = ops.sign(relative - rate**self.alpha) * relative
        moved = ops.where(there, weights * ops.exp(-self.learning_rate * slope), weights)
        total = ops.sum(present * moved)
        scale = count / ops.where(total > 0, total, ops.ones_like(total))
        moved = ops.where(present > 0, moved * scale, weights)
        return weights * geometry.norms, {"weights": moved, "first_losses": first}
