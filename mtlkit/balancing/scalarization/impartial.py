"""Losses that are scaled until all of them are 1."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.scalarization.loss_weighting import LossWeighting


@keras.saving.register_keras_serializable(package="mtlkit")
class ImpartialLossWeighting(LossWeighting):
    """Scales that are trained so that every scaled loss comes to 1 (IMTL-L).

    `L = sum_i (exp(s_i) l_i - s_i)`, where `s_i` is trained with the model. It is twice
    `mtlkit.balancing.UncertaintyWeighting` with `-s_i`, derived without a noise model. It costs
    nothing. The state is `"log_scales"`, of shape `(tasks,)`.

    Source: Liu et al., "Towards Impartial Multi-task Learning", 2021,
    https://openreview.net/forum?id=IMPnRXEWpvr.

    Use it for losses on different scales; together with `mtlkit.balancing.IMTLG` it is IMTL.

    Args:
        initial: The logarithms of the scales at the start.

    Example:
        ```python
        from mtlkit.balancing import ImpartialLossWeighting

        assert float(ImpartialLossWeighting()([0.5, 2.0, 8.0])) == 10.5
        ```
    """

    learned = ("log_scales",)

    def __init__(self, initial: float = 0.0) -> None:
        self.initial = float(initial)
        super().__init__()

    def initial_state(self, num_tasks: int) -> dict[str, Any]:
        return {"log_scales": ops.full((num_tasks,), self.initial, dtype="float32")}

    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        logs = state["log_scales"]
        return ops.sum(present * (ops.exp(logs) * losses - logs)), state

    def get_config(self) -> dict[str, Any]:
        return {"initial": self.initial}
