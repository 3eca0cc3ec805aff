"""SoftTriple: several proxies for each class."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.losses.contrastive._arguments import check_positive
from mtlkit.losses.contrastive.proxy_loss import ProxySoftmax


@keras.saving.register_keras_serializable(package="mtlkit")
class SoftTriple(ProxySoftmax):
    """The cross-entropy of classes that have several proxies, read by a soft maximum.

    With the cosines `s_kc` of a sample and the proxies `c` of class `k`, the similarity with
    the class is `S_k = sum_c softmax_c(s_kc / gamma) s_kc`, and the logits are
    `scale (S_k - margin [k = y])`. The mean over the labelled samples; see `ProxySoftmax`.
    The paper's regulariser, which merges proxies, is left out: with the few proxies of the
    default there is little to merge.

    Args:
        proxies_per_class: Number of proxies of each class (10 in the paper).
        scale: The scale, `lambda` in the paper.
        gamma: The temperature of the soft maximum.
        margin: The margin, a difference of cosines; 0 for none.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Call arguments:
        y_true: Labels of shape `(batch,)` or `(batch, 1)`; -1 where missing.
        y_pred: Cosines of shape `(batch, classes * proxies_per_class)`, those of a class side
            by side, computed with in float32.

    Raises:
        ValueError: If `proxies_per_class < 1`, `scale` or `gamma` is not positive, or `margin`
            is not in `[0, 2)`; when called, if the cosines cannot be shared by classes.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import SoftTriple

        cosines = np.array([[0.9, -0.9, 0.0, 0.0]])  # of two classes
        assert float(SoftTriple(proxies_per_class=2)(np.array([0]), cosines)) < 1e-6
        ```

    Reference:
        [Qian et al., SoftTriple Loss, 2019](https://arxiv.org/abs/1909.05235)
    """

    def __init__(
        self,
        proxies_per_class: int = 3,
        scale: float = 20.0,
        gamma: float = 0.1,
        margin: float = 0.01,
        name: str | None = "soft_triple",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_positive(proxies_per_class=proxies_per_class, scale=scale, gamma=gamma)
        if not 0 <= margin < 2:
            raise ValueError(f"Expected a margin in [0, 2). Received: margin={margin}")
        self.proxies_per_class = proxies_per_class
        self.scale = scale
        self.gamma = gamma
        self.margin = margin

    def logits(self, own: Any, similarities: Any) -> Any:
        if self.proxies_per_class > 1:
            by_class = ops.reshape(similarities, (-1, own.shape[-1], self.proxies_per_class))
            share = ops.softmax(by_class / self.gamma, axis=-1)
            similarities = ops.sum(share * by_class, axis=-1)
        return self.scale * (similarities - self.margin * own)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "proxies_per_class": self.proxies_per_class,
            "scale": self.scale,
            "gamma": self.gamma,
            "margin": self.margin,
        }
