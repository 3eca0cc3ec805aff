"""Weights by how fast losses fall."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.scalarization.loss_weighting import LossWeighting, softmax


@keras.saving.register_keras_serializable(package="mtlkit")
class DynamicWeightAverage(LossWeighting):
    """Weights by how fast losses fell in the epoch before (DWA).

    `L = sum_i w_i l_i` with `w = K softmax(r / T)`, where `r_i` is the mean loss of the last epoch
    over that of the epoch before it: a task whose loss falls slowly gets more weight. In the first
    two epochs all weights are 1. It costs nothing.

    The state is `"weights"`, `"sums"` and `"counts"` of the losses of this epoch, and `"before"`,
    the mean losses of the last one, all of shape `(tasks,)`. By hand, call `end_epoch`.

    Source: Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention", 2019,
    arXiv 1803.10704.

    Use it where tasks learn at different rates, on about the same scale: it does not even out
    scales.

    Args:
        temperature: `T`, above 0; the higher, the more even the weights.

    Raises:
        ValueError: If the temperature is not above 0.

    Example:
        ```python
        from mtlkit.balancing import DynamicWeightAverage

        average = DynamicWeightAverage()
        for losses in ([0.5, 2.0, 8.0], [0.3, 2.0, 8.0]):
            average(losses)
            average.end_epoch()
        assert abs(average.state["weights"][0] - 0.871382) < 1e-5
        ```
    """

    def __init__(self, temperature: float = 2.0) -> None:
        if not 0 < temperature < float("inf"):
            raise ValueError(f"Expected temperature > 0. Received: temperature={temperature!r}")
        self.temperature = float(temperature)
        super().__init__()

    def initial_state(self, num_tasks: int) -> dict[str, Any]:
        zeros, ones = (make((num_tasks,), dtype="float32") for make in (ops.zeros, ops.ones))
        return {"weights": ones, "sums": zeros, "counts": zeros, "before": zeros}

    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        finite = present * ops.cast(ops.isfinite(losses), losses.dtype)
        seen = ops.stop_gradient(ops.where(finite > 0, losses, ops.zeros_like(losses)))
        after = {**state, "sums": state["sums"] + seen, "counts": state["counts"] + finite}
        return ops.sum(present * state["weights"] * losses), after

    def at_epoch_end(self, state: dict[str, Any]) -> dict[str, Any]:
        counts, before = state["counts"], state["before"]
        means = ops.where(counts > 0, state["sums"] / ops.maximum(counts, 1), before)
        fell = ops.logical_and(means > 0, before > 0)
        known = ops.cast(ops.logical_and(counts > 0, fell), means.dtype)
        rates = ops.where(known > 0, means / ops.where(before > 0, before, 1.0), 0.0)
        new = ops.sum(known) * softmax(rates / self.temperature, known)
        weights = ops.where(known > 0, new, state["weights"])
        zeros = ops.zeros_like(counts)
        return {"weights": weights, "sums": zeros, "counts": zeros, "before": means}

    def get_config(self) -> dict[str, Any]:
        return {"temperature": self.temperature}
