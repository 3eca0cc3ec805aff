"""CosFace: an additive margin on the cosine."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.losses.contrastive._arguments import check_positive
from mtlkit.losses.contrastive.proxy_loss import ProxySoftmax


@keras.saving.register_keras_serializable(package="mtlkit")
class CosFace(ProxySoftmax):
    """The cross-entropy of scaled cosines, the true class's being made smaller by a margin.

    The logits are `scale (c_k - margin [k = y])` for the cosines `c_k` with the proxy of each
    class. The mean over the labelled samples; see `ProxySoftmax`.

    Args:
        margin: The margin, a difference of cosines; 0 for none.
        scale: The scale. The paper's is 64, for many thousands of classes; 16 to 30 suits
            tens.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Call arguments:
        y_true: Labels of shape `(batch,)` or `(batch, 1)`; -1 where missing.
        y_pred: Cosines of shape `(batch, classes)`, computed with in float32.

    Raises:
        ValueError: If `scale` is not positive, or `margin` is not in `[0, 2)`.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import CosFace

        value = CosFace(margin=0.5, scale=2.0)(np.array([0]), np.zeros((1, 2)))
        assert abs(float(value) - np.log(1 + np.e)) < 1e-6
        ```

    Reference:
        [Wang et al., CosFace, 2018](https://arxiv.org/abs/1801.09414)
    """

    def __init__(
        self,
        margin: float = 0.35,
        scale: float = 30.0,
        name: str | None = "cos_face",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_positive(scale=scale)
        if not 0 <= margin < 2:
            raise ValueError(f"Expected a margin in [0, 2). Received: margin={margin}")
        self.margin = margin
        self.scale = scale

    def logits(self, own: Any, similarities: Any) -> Any:
        return self.scale * (similarities - self.margin * own)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin, "scale": self.scale}
