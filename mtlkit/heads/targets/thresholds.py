"""Ordered classes, by what is said at the thresholds between them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.heads.targets.target import Target
from mtlkit.losses.ordinal import Method, OrdinalCrossEntropy


@keras.saving.register_keras_serializable(package="mtlkit")
class ThresholdsTarget(Target):
    """Outputs are logits of the thresholds between bins on a line.

    The prediction is the median: the number of thresholds that the label is above with a
    probability of more than one half. It is what has the least mean absolute error.

    Args:
        num_bins: Number of bins.
        method: `"coral"` or `"corn"`, as in `mtlkit.losses.OrdinalCrossEntropy`.
        decision: As for `Target`.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.targets import ThresholdsTarget

        target = ThresholdsTarget(num_bins=4)
        assert float(target.position(np.array([[3.0, 2.0, -1.0]]))[0]) == 2.0
        ```

    Reference:
        [Cao et al., CORAL, 2020](https://arxiv.org/abs/1901.07884);
        [Shi et al., CORN, 2021](https://arxiv.org/abs/2111.08851)
    """

    def __init__(self, num_bins: int, method: Method = "corn", decision: str = "likeliest") -> None:
        super().__init__(num_bins, circular=False, decision=decision)
        self.method = method
        self.loss()  # checks the arguments

    @property
    def num_outputs(self) -> int:
        return self.num_bins - 1

    def outputs(self, profile: Any) -> Any:
        """Returns the profile, which has the logits already."""
        return profile

    def loss(self) -> keras.losses.Loss:
        return OrdinalCrossEntropy(self.num_bins, self.method)

    def above(self, outputs: Any) -> Any:
        """Returns the probabilities of being above each threshold, `(batch, num_bins - 1)`."""
        logits = ops.cast(outputs, "float32")
        if self.method != "corn":
            return ops.sigmoid(logits)
        # Not a cumulative product, which ONNX and LiteRT do not have.
        return ops.exp(ops.cumsum(ops.log_sigmoid(logits), axis=-1))

    def probability(self, outputs: Any) -> Any:
        above = self.above(outputs)
        ones = ops.ones_like(above[:, :1])
        least, most = (
            ops.concatenate(parts, axis=-1)
            for parts in ((above, ops.zeros_like(ones)), (ones, above))
        )
        # Thresholds of "coral" may be out of order, if little is learnt of a class.
        each = ops.maximum(most - least, 0.0)
        return each / ops.sum(each, axis=-1, keepdims=True)

    def said_position(self, outputs: Any) -> Any:
        return ops.sum(ops.cast(self.above(outputs) > 0.5, "float32"), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {"num_bins": self.num_bins, "method": self.method, "decision": self.decision}
