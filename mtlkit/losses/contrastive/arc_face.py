"""ArcFace: an additive margin on the angle."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from mtlkit.losses.contrastive._arguments import check_positive
from mtlkit.losses.contrastive.proxy_loss import ProxySoftmax

#: Squares of sines below this are taken as it, where the root has no finite slope.
_LEAST_SQUARE = 1e-12


@keras.saving.register_keras_serializable(package="mtlkit")
class ArcFace(ProxySoftmax):
    """The cross-entropy of scaled cosines, the angle to the true class's being made larger.

    The logits are `scale c_k` for the cosines `c_k = cos(theta_k)` with the proxy of each
    class, but for the true one `scale cos(theta_y + m)`. Beyond `theta_y = pi - m`, where
    that would rise again, it is `scale (cos(theta_y) - m sin(m))` instead, as in the authors'
    code: it falls all the way, but jumps there by `1 - cos(m) - m sin(m)` times the scale (-0.117
    for the default margin). The mean over the labelled samples; see `ProxySoftmax`.

    Large margins are hard to learn from the start: a smaller one first may help.

    Args:
        margin: The margin `m`, in degrees, at most 90; 0 for none.
        scale: The scale. The paper's is 64, for many thousands of classes; 16 to 30 suits
            tens.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Call arguments:
        y_true: Labels of shape `(batch,)` or `(batch, 1)`; -1 where missing.
        y_pred: Cosines of shape `(batch, classes)`, computed with in float32.

    Raises:
        ValueError: If `scale` is not positive, or `margin` is not in `[0, 90]`.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import ArcFace

        value = ArcFace(margin=90.0, scale=1.0)(np.array([0]), np.zeros((1, 2)))
        assert abs(float(value) - np.log(1 + np.e)) < 1e-6
        ```

    Reference:
        [Deng et al., ArcFace, 2019](https://arxiv.org/abs/1801.07698)
    """

    def __init__(
        self,
        margin: float = 28.6,
        scale: float = 30.0,
        name: str | None = "arc_face",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_positive(scale=scale)
        if not 0 <= margin <= 90:
            raise ValueError(f"Expected a margin in [0, 90] degrees. Received: margin={margin}")
        self.margin = margin
        self.scale = scale

    def logits(self, own: Any, similarities: Any) -> Any:
        return self.scale * ops.where(own > 0, self._with_margin(similarities), similarities)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin, "scale": self.scale}

    def _with_margin(self, cosine: Any) -> Any:
        margin = math.radians(self.margin)
        sine = ops.sqrt(ops.maximum(1 - ops.square(cosine), _LEAST_SQUARE))
        turned = cosine * math.cos(margin) - sine * math.sin(margin)
        falling = cosine >= -math.cos(margin)
        return ops.where(falling, turned, cosine - margin * math.sin(margin))
