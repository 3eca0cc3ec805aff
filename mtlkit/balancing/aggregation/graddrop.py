"""In each coordinate the gradients of one sign, which is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.balancing.aggregation._geometry import inverse
from mtlkit.balancing.aggregation.aggregator import Aggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class GradDrop(Aggregator):
    """The sum of those gradients that have the same sign, drawn in each coordinate.

    In a coordinate with gradients `g_i`, the positive ones are kept with probability
    `p = (1 + sum_i g_i / sum_i |g_i|) / 2`, and else the negative ones. So gradients of one
    sign are always kept. A task with a leak `l_i` keeps `l_i g_i` of what is dropped. On average
    over draws, `d` is not the sum of the gradients. It needs the gradients themselves and one
    random number a coordinate.

    Source: Chen, Ngiam, Huang, Luong, Kretzschmar, Chai and Anguelov, "Just Pick a Sign:
    Optimizing Deep Multitask Models with Gradient Sign Dropout", 2020, arXiv 2010.06808.

    Use it on gradients with respect to a representation that tasks share, for which it was made.
    Do not use it with very noisy gradients: it adds noise of its own.

    Args:
        leak: How much of its dropped gradients a task keeps, in [0, 1]: a number for all tasks, or
            one for each.
        seed: Makes calls reproducible; `None` for other signs each time.

    Raises:
        ValueError: If a leak is out of range, or there is not one for each task of a call.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import GradDrop

        found = GradDrop(seed=0)(np.array([[1.0, 3.0, -1.0], [2.0, -1.0, -1.0]]))
        assert found[0] == 3 and found[1] in (3, -1) and found[2] == -2
        ```
    """

    def __init__(self, leak: float | Sequence[float] = 0.0, seed: int | None = None) -> None:
        values = np.asarray(leak, "float64")
        if values.ndim > 1 or not ((values >= 0) & (values <= 1)).all():
            raise ValueError(
                f"Expected leak in [0, 1], a number or one for each task. Received: leak={leak!r}"
            )
        self.leak = values.tolist()
        self.seed = seed
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        return {"leak": self.leak, "seed": self.seed}

    def noise_shape(self, num_tasks: int, num_parameters: int) -> tuple[int, ...] | None:
        return (num_parameters,)

    def combine(
        self,
        gradients: Any,
        state: dict[str, Any],
        *,
        noise: Any = None,
        losses: Any = None,
    ) -> tuple[Any, dict[str, Any]]:
        if noise is None:
            raise ValueError("Expected noise of shape (parameters,). Received: None")
        tasks = int(gradients.shape[0])
        if isinstance(self.leak, list) and len(self.leak) != tasks:
            raise ValueError(f"Expected a leak for {tasks} tasks. Received: leak={self.leak!r}")
        leak = ops.convert_to_tensor(np.broadcast_to(self.leak, (tasks,)).astype("float32"))
        leak = ops.cast(leak, gradients.dtype)[:, None]
        sizes = ops.sum(ops.abs(gradients), axis=0)
        chance = (1 + ops.sum(gradients, axis=0) * inverse(sizes)) / 2
        kept = ops.where(chance > noise, gradients > 0, gradients < 0)
        share = leak + (1 - leak) * ops.cast(kept, gradients.dtype)
        found = ops.sum(share * gradients, axis=0)
        return ops.where(ops.isfinite(sizes), found, float("nan")), state
