"""Weights by which all losses fall at the same rate, without a gradient of each task."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.scalarization.loss_weighting import (
    LEAST_LOSS,
    LossWeighting,
    logarithms,
    softmax,
)


@keras.saving.register_keras_serializable(package="mtlkit")
class FAMO(LossWeighting):
    """Weights that are learned from how losses fall, so that all do so at the same rate (FAMO).

    `L = c sum_i z_i log(l_i - b)` with `z = softmax(w)` and `c = 1 / sum_i (z_i / (l_i - b))`,
    through which no gradient flows. After each step, `w` takes a step of Adam against how much each
    log-loss fell: a task that falls faster than the others loses weight. It costs nothing.

    The original looks at the losses of the same batch again after the step. Here the fall is that
    from a batch to the next one, which needs no second pass: the same on average, with the noise of
    two batches. By hand, call it with the losses of the same batch again for the original.

    The state is `"logits"`, the two moments of Adam, `"steps"`, and `"last"`, the log-losses of the
    batch before, with `"seen"`, which of them there are.

    Source: Liu, Feng, Stone and Liu, "FAMO: Fast Adaptive Multitask Optimization", 2023,
    arXiv 2306.03792.

    Use it for many tasks, where one gradient a task is too much.

    Args:
        learning_rate: That of Adam on the logits.
        weight_decay: By how much logits are drawn to 0, times themselves, in the gradient.
        lowest: `b`, a loss that no task can get below.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        ```python
        from mtlkit.balancing import FAMO

        famo = FAMO()
        assert abs(float(famo([0.5, 2.0, 8.0])) - 0.792168) < 1e-5
        famo([0.4, 1.9, 7.9])  # the first one fell most
        assert famo.state["logits"][0] < 0 < famo.state["logits"][1]
        ```
    """

    def __init__(
        self, learning_rate: float = 0.025, weight_decay: float = 1e-3, lowest: float = 0.0
    ) -> None:
        if not 0 < learning_rate < float("inf"):
            raise ValueError(
                f"Expected learning_rate > 0. Received: learning_rate={learning_rate!r}"
            )
        if not 0 <= weight_decay < float("inf"):
            raise ValueError(f"Expected weight_decay >= 0. Received: weight_decay={weight_decay!r}")
        self.learning_rate = float(learning_rate)
        self.weight_decay = float(weight_decay)
        self.lowest = float(lowest)
        super().__init__()

    def initial_state(self, num_tasks: int) -> dict[str, Any]:
        names = ("logits", "moment", "square", "last", "seen")
        zeros = {name: ops.zeros((num_tasks,), dtype="float32") for name in names}
        return {**zeros, "steps": ops.zeros((), dtype="float32")}

    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        above = ops.maximum(losses - self.lowest, LEAST_LOSS)
        logs = logarithms(above, present)
        state = self._learned(ops.stop_gradient(logs), present, state)
        shares = softmax(state["logits"], present)
        ratio = ops.sum(shares / ops.where(present > 0, above, ops.ones_like(above)))
        scale = ops.stop_gradient(1 / ops.where(ratio > 0, ratio, ops.ones_like(ratio)))
        return scale * ops.sum(shares * logs), state

    def _learned(self, logs: Any, present: Any, state: dict[str, Any]) -> dict[str, Any]:
        """The state after a step of Adam on the logits, by how the log-losses fell."""
        finite = ops.cast(ops.isfinite(logs), logs.dtype)
        logs = ops.where(finite > 0, logs, ops.zeros_like(logs))
        now = present * finite
        both = now * state["seen"]
        shares = softmax(state["logits"], both)
        fall = both * (state["last"] - logs)
        gradient = shares * (fall - ops.sum(shares * fall))
        gradient = both * (gradient + self.weight_decay * state["logits"])
        moves = ops.cast(ops.sum(both) > 1, logs.dtype)  # one task has nothing to be weighed by
        steps = state["steps"] + moves
        moment = 0.9 * state["moment"] + 0.1 * gradient
        square = 0.999 * state["square"] + 0.001 * gradient**2
        corrected = moment / (1 - 0.9 ** ops.maximum(steps, 1))
        spread = ops.sqrt(square / (1 - 0.999 ** ops.maximum(steps, 1)))
        logits = state["logits"] - self.learning_rate * corrected / (spread + 1e-8)
        moved = {"logits": logits, "moment": moment, "square": square}
        kept = {name: ops.where(moves > 0, moved[name], state[name]) for name in moved}
        last = ops.where(now > 0, logs, state["last"])
        return {**kept, "steps": steps, "last": last, "seen": ops.maximum(now, state["seen"])}

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "lowest": self.lowest,
        }
