"""Weights that are trained to make the weighted losses of all tasks equal."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.scalarization.loss_weighting import LossWeighting, softmax


@keras.saving.register_keras_serializable(package="mtlkit")
class LossDiscrepancyControl(LossWeighting):
    """Weights that are trained to make the weighted losses of all tasks equal (LDC-MTL).

    `L = sum_i w_i l_i + penalty * 2 / K sum_(i<j) |w_i l_i - w_j l_j|` with `w = K softmax(s)` for
    `K` tasks. The model descends both sums; the logits `s` are trained with it, and descend the
    second sum alone, the discrepancy. Left to themselves they come to `w_i` proportional to
    `1 / l_i`. It costs nothing. The state is `"logits"`, of shape `(tasks,)`.

    Three things differ from the original. It makes `w` of the features, by a small network; here
    they are the same for all batches. It takes the discrepancy of neighbouring tasks; here it is
    the mean of that over all orders of the tasks. The code of its authors lets the weights descend
    the first sum, too, which moves weight to the task with the smallest loss; the gradient of the
    bilevel problem itself, with the lower level solved, has no such part.

    Source: Xiao, Dong, Zou and Ji, "LDC-MTL: Balancing Multi-Task Learning through Scalable Loss
    Discrepancy Control", 2025, arXiv 2502.08585.

    Use it for losses on different scales that shall fall together. Tasks that cannot be learned
    alike well, so that one loss has to stay large, make it turn away from that one. The learning
    rate of the model is that of the weights, too.

    Args:
        penalty: How much the discrepancy counts beside the weighted losses, for the model.

    Raises:
        ValueError: If the penalty is not positive.

    Example:
        ```python
        from mtlkit.balancing import LossDiscrepancyControl

        found = LossDiscrepancyControl(penalty=0.1)([0.5, 2.0, 8.0])
        assert abs(float(found) - (10.5 + 0.1 * 10)) < 1e-5
        ```
    """

    learned = ("logits",)

    def __init__(self, penalty: float = 0.1) -> None:
        if not 0 < penalty < float("inf"):
            raise ValueError(f"Expected penalty > 0. Received: penalty={penalty!r}")
        self.penalty = float(penalty)
        super().__init__()

    def initial_state(self, num_tasks: int) -> dict[str, Any]:
        return {"logits": ops.zeros((num_tasks,), dtype="float32")}

    def total(
        self, losses: Any, present: Any, state: dict[str, Any], *, noise: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        count = ops.sum(present)
        weights = count * softmax(state["logits"], present)
        weighted = weights * losses
        both = present[:, None] * present[None, :]
        pairs = ops.sum(both * ops.abs(weighted[:, None] - weighted[None, :])) / 2
        apart = ops.divide_no_nan(2 * pairs, count)
        return ops.sum(ops.stop_gradient(weights) * losses) + self.penalty * apart, state

    def get_config(self) -> dict[str, Any]:
        return {"penalty": self.penalty}
