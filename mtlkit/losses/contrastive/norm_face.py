"""NormFace: softmax of cosines."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.losses.contrastive._arguments import check_positive
from mtlkit.losses.contrastive.proxy_loss import ProxySoftmax


@keras.saving.register_keras_serializable(package="mtlkit")
class NormFace(ProxySoftmax):
    """The cross-entropy of cosines with the proxies, divided by a temperature.

    `l = -log(e^{c_y / t} / sum_k e^{c_k / t})` for the cosines `c_k` with the proxy of each
    class. The mean over the labelled samples; see `ProxySoftmax`.

    Args:
        temperature: The temperature `t`.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Call arguments:
        y_true: Labels of shape `(batch,)` or `(batch, 1)`; -1 where missing.
        y_pred: Cosines of shape `(batch, classes)`, computed with in float32.

    Raises:
        ValueError: If `temperature` is not positive.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import NormFace

        value = NormFace()(np.array([0]), np.zeros((1, 4)))
        assert abs(float(value) - np.log(4)) < 1e-6
        ```

    Reference:
        [Wang et al., NormFace, 2017](https://arxiv.org/abs/1704.06369)
    """

    def __init__(
        self, temperature: float = 0.05, name: str | None = "norm_face", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_positive(temperature=temperature)
        self.temperature = temperature

    def logits(self, own: Any, similarities: Any) -> Any:
        return similarities / self.temperature

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
