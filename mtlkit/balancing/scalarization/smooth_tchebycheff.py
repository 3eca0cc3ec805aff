"""The worst loss, made smooth."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.scalarization.loss_weighting import LossWeighting


@keras.saving.register_keras_serializable(package="mtlkit")
class SmoothTchebycheff(LossWeighting):
    """The largest of the losses, made smooth (STCH).

    `L = mu log sum_i exp((l_i - z) / (K mu))`, so the task with the largest loss has the largest
    weight, and with a small `mu` all of it. Every Pareto-optimal solution is the optimum of some
    preferences, also where the sum of losses finds none; the weights of the tasks are the
    preferences. It costs nothing and has no state.

    Source: Lin et al., "Smooth Tchebycheff Scalarization for Multi-Objective Optimization", 2024,
    arXiv 2402.19078.

    Use it where the worst task counts, on losses of about the same scale.

    Args:
        mu: How smooth the maximum is, above 0.
        reference: `z`, a loss that no task can get below.

    Raises:
        ValueError: If `mu` is not above 0.

    Example:
        ```python
        from mtlkit.balancing import SmoothTchebycheff

        assert abs(float(SmoothTchebycheff()([0.5, 2.0, 8.0])) - 2.863401) < 1e-5
        ```
    """

    def __init__(self, mu: float = 1.0, reference: float = 0.0) -> None:
        if not 0 < mu < float("inf"):
            raise ValueError(f"Expected mu > 0. Received: mu={mu!r}")
        self.mu = float(mu)
        self.reference = float(reference)
        super().__init__()

    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        count = ops.maximum(ops.sum(present), 1)
        scaled = (losses - self.reference) / (count * self.mu)
        there = present > 0
        highest = ops.stop_gradient(ops.max(ops.where(there, scaled, ops.full_like(scaled, -1e30))))
        shifted = ops.where(there, scaled - highest, ops.zeros_like(scaled))
        powers = ops.sum(present * ops.exp(shifted))
        found = self.mu * (ops.log(ops.where(powers > 0, powers, 1.0)) + highest)
        return ops.where(powers > 0, found, ops.zeros_like(found)), state

    def get_config(self) -> dict[str, Any]:
        return {"mu": self.mu, "reference": self.reference}
