"""Bins as classes, with labels that may be smooth."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit._largest import largest
from mtlkit.heads.targets.target import Target
from mtlkit.losses.circular import CircularCrossEntropy


@keras.saving.register_keras_serializable(package="mtlkit")
class BinsTarget(Target):
    """Outputs are logits of the bins, learnt from one-hot or smooth labels.

    Args:
        num_bins: Number of bins.
        width: Width of the labels, in bins; 0 for one-hot labels.
        kind: `"gaussian"` or `"von_mises"`, the shape of the labels.
        emd_weight: Weight of the earth mover's distance in the loss.
        **kwargs: As for `Target`.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.targets import BinsTarget

        target = BinsTarget(num_bins=8, width=0.5)
        assert float(target.position(np.eye(8)[[5]])[0]) == 5.0
        ```

    Reference:
        [Yang and Yan, Circular Smooth Label, 2020](https://arxiv.org/abs/2003.05597)
    """

    says_outside = False

    def __init__(
        self,
        num_bins: int,
        width: float = 0.0,
        kind: str = "gaussian",
        emd_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_bins, **kwargs)
        self.width = width
        self.kind = kind
        self.emd_weight = emd_weight
        self.loss()  # checks the arguments

    @property
    def num_outputs(self) -> int:
        return self.num_bins

    def outputs(self, profile: Any) -> Any:
        return profile

    def loss(self) -> keras.losses.Loss:
        return CircularCrossEntropy(
            self.num_bins,
            self.width,
            self.kind,
            self.circular,
            self.emd_weight,
            self.label_period,
        )

    def probability(self, outputs: Any) -> Any:
        return ops.softmax(ops.cast(outputs, "float32"), axis=-1)

    def said_position(self, outputs: Any) -> Any:
        return ops.cast(largest(outputs), "float32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "width": self.width,
            "kind": self.kind,
            "emd_weight": self.emd_weight,
        }
