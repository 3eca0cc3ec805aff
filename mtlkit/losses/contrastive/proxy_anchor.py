"""Proxy-Anchor: each proxy compared with all samples of the batch."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.losses.contrastive._arguments import check_positive
from mtlkit.losses.contrastive._pairs import masked_logsumexp, mean_over
from mtlkit.losses.contrastive.proxy_loss import ProxyLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class ProxyAnchor(ProxyLoss):
    """Takes the proxies as anchors: each pulls the samples of its class, and pushes the rest.

    With the cosines `s_xk` of sample `x` and the proxy of class `k`,

    `L = mean_{k in batch} log(1 + sum_{x of k} w_x e^{-alpha (s_xk - margin)})
    + mean_{all k} log(1 + sum_{x not of k} w_x e^{alpha (s_xk + margin)})`

    where the first mean is over the classes that have a labelled sample in the batch, and `w_x`
    are the sample weights: a weight of 2 is the sample twice, one of 0 is no sample. The value
    is 0 with zero gradient where no sample has a label. Samples without a label take no part.
    Its values, and gradients, are larger than those of a cross-entropy by about `alpha`, and
    proxies like a higher learning rate.

    Args:
        margin: The margin, a cosine.
        alpha: The sharpness.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Call arguments:
        y_true: Labels of shape `(batch,)` or `(batch, 1)`; -1 where missing.
        y_pred: Cosines of shape `(batch, classes)`, computed with in float32.

    Raises:
        ValueError: If `alpha` is not positive.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import ProxyAnchor

        loss, cosines = ProxyAnchor(), np.array([[0.9, 0.1], [0.2, 0.8]])
        assert float(loss(np.array([0, 1]), cosines)) < float(loss(np.array([1, 0]), cosines))
        ```

    Reference:
        [Kim et al., Proxy Anchor Loss, 2020](https://arxiv.org/abs/2003.13911)
    """

    def __init__(
        self,
        margin: float = 0.1,
        alpha: float = 32.0,
        name: str | None = "proxy_anchor",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_positive(alpha=alpha)
        self.margin = margin
        self.alpha = alpha

    def of_similarities(self, own: Any, similarities: Any, weight: Any, present: Any) -> Any:
        there = present[:, None]
        positive = ops.logical_and(there, own > 0)
        negative = ops.logical_and(there, own <= 0)
        weighed = (weight > 0)[:, None]
        log_weight = ops.log(ops.where(weight > 0, weight, ops.ones_like(weight)))[:, None]

        pull = log_weight - self.alpha * (similarities - self.margin)
        pull = masked_logsumexp(pull, ops.logical_and(positive, weighed), axis=0)
        push = log_weight + self.alpha * (similarities + self.margin)
        push = masked_logsumexp(push, ops.logical_and(negative, weighed), axis=0)
        in_batch = ops.any(positive, axis=0)
        return mean_over(ops.softplus(pull), 1.0, in_batch) + ops.mean(ops.softplus(push))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin, "alpha": self.alpha}
