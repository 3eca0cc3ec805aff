"""A bin, and the angle left over within it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit._largest import largest
from mtlkit.heads.targets.target import Target
from mtlkit.losses.circular import MultiBinLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class MultiBinTarget(Target):
    """Outputs are a logit and a residual angle, in bins, for each bin.

    The prediction is the likeliest bin plus its residual (at most a bin to either side).
    There is a residual to learn only where labels are finer than bins: labels in degrees.

    Args:
        num_bins: Number of bins.
        **kwargs: As for `Target`.

    Raises:
        ValueError: If bins are not on a circle.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.targets import MultiBinTarget

        target = MultiBinTarget(num_bins=4)
        outputs = np.array([[0, 0, 9, 0.25, 0, 0, 0, 0]], "float32")
        assert float(target.position(outputs)[0]) == 1.25
        ```

    Reference:
        [Mousavian et al., 3D Bounding Box Estimation Using Deep Learning and Geometry,
        2017](https://arxiv.org/abs/1612.00496)
    """

    channels = 2

    def __init__(self, num_bins: int, **kwargs: Any) -> None:
        super().__init__(num_bins, **kwargs)
        if not self.circular:
            raise ValueError(
                "Expected bins on a circle, which have angles. Received: circular=False"
            )

    @property
    def num_outputs(self) -> int:
        return 2 * self.num_bins

    def outputs(self, profile: Any) -> Any:
        return profile

    def loss(self) -> keras.losses.Loss:
        return MultiBinLoss(self.num_bins, label_period=self.label_period)

    def probability(self, outputs: Any) -> Any:
        return ops.softmax(self._split(outputs)[0], axis=-1)

    def said_position(self, outputs: Any) -> Any:
        logits, residual = self._split(outputs)
        label = largest(logits)
        chosen = ops.sum(ops.one_hot(label, self.num_bins, dtype="float32") * residual, axis=-1)
        return ops.cast(label, "float32") + ops.clip(chosen, -1.0, 1.0)

    def _split(self, outputs: Any) -> tuple[Any, Any]:
        pairs = ops.reshape(ops.cast(outputs, "float32"), (-1, self.num_bins, 2))
        return pairs[..., 0], pairs[..., 1]
