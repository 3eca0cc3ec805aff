"""Losses for ordered classes, by the thresholds between them."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from mtlkit._counts import check_count

#: What the logit of a threshold says: that the class is above it; or that it is, if it is above
#: the one before.
Method = Literal["coral", "corn"]
METHODS: tuple[Method, ...] = ("coral", "corn")


@keras.saving.register_keras_serializable(package="mtlkit")
class OrdinalCrossEntropy(keras.losses.Loss):
    """Binary cross-entropies at the thresholds between ordered classes, summed.

    Outputs are `num_classes - 1` logits `f_k`, one for each threshold `k = 0, 1, ...`, and labels
    `y` are classes.

    - `"coral"`: `f_k` is the logit of `P(y > k)`, and the loss of a sample is
      `sum_k softplus(f_k) - [y > k] f_k`; `(num_classes - 1) ln 2` where all logits are 0.
    - `"corn"`: `f_k` is the logit of `P(y > k | y >= k)`, and the sum is over `k <= y` alone, the
      thresholds that the sample has come to. That is `-ln P(y)`, in nats.

    Args:
        num_classes: Number of classes.
        method: `"coral"` or `"corn"`.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Raises:
        ValueError: If `num_classes < 2`, or the method is none of these.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import OrdinalCrossEntropy

        loss = OrdinalCrossEntropy(num_classes=3, method="corn")
        value = loss(np.array([2]), np.zeros((1, 2)))  # P(2) = 1/2 * 1/2
        assert abs(float(value) - np.log(4)) < 1e-6
        ```

    Reference:
        [Cao et al., Rank consistent ordinal regression (CORAL),
        2020](https://arxiv.org/abs/1901.07884); [Shi et al., CORN,
        2021](https://arxiv.org/abs/2111.08851). CORN is divided by the number of samples here,
        where the paper divides by the number of binary labels.
    """

    def __init__(
        self,
        num_classes: int,
        method: Method = "corn",
        name: str = "ordinal_cross_entropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_count("num_classes", num_classes, 2)
        check_method(method)
        self.num_classes = num_classes
        self.method = method

    def call(self, y_true: Any, y_pred: Any) -> Any:
        logits = ops.convert_to_tensor(y_pred)
        label = ops.reshape(ops.cast(y_true, logits.dtype), (-1, 1))
        threshold = ops.cast(ops.arange(self.num_classes - 1), logits.dtype)
        above = ops.cast(label > threshold, logits.dtype)
        losses = ops.softplus(logits) - above * logits
        if self.method == "corn":
            losses = losses * ops.cast(label >= threshold, logits.dtype)
        return ops.sum(losses, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "method": self.method,
        }


def check_method(method: Any) -> None:
    """Raises a ValueError unless the method is known."""
    if method not in METHODS:
        raise ValueError(f"Expected method to be one of {METHODS}. Received: method={method!r}")
