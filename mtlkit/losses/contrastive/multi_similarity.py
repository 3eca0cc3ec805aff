"""Multi-similarity loss."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers.unit_norm import unit_norm
from mtlkit.losses.contrastive._arguments import check_positive
from mtlkit.losses.contrastive._pairs import masked_logsumexp, mean_over, positives_and_negatives
from mtlkit.losses.contrastive.embedding_loss import EmbeddingLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class MultiSimilarity(EmbeddingLoss):
    """Weighs each pair by how it compares with the other pairs of its anchor.

    With cosines `s` of the embeddings, the loss of an anchor `i` with positives `P` (other
    samples of its class) and negatives `N` is

    `l_i = log(1 + sum_P e^{-alpha (s_ip - base)}) / alpha
    + log(1 + sum_N e^{beta (s_in - base)}) / beta`

    The value is the mean of `weight_i l_i` over the anchors with at least one pair: as
    published, those without positive still push negatives away. It is 0 with zero gradient
    where a batch has fewer than two labelled samples. All pairs are used; the mining of the
    paper is left out. Embeddings are scaled to unit length. Samples without a label take no
    part.

    Args:
        alpha: Sharpness for positives.
        beta: Sharpness for negatives.
        base: The cosine above which negatives, and below which positives, weigh most.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Call arguments:
        y_true: Labels of shape `(batch,)` or `(batch, 1)`; -1 (integer) or NaN where missing.
        y_pred: Embeddings of shape `(batch, dim)`, computed with in float32.

    Raises:
        ValueError: If `alpha` or `beta` is not positive.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import MultiSimilarity

        loss, labels = MultiSimilarity(), np.array([0, 0, 1, 1])
        apart, together = np.eye(2)[labels], np.ones((4, 2))
        assert float(loss(labels, apart)) < float(loss(labels, together))
        ```

    Reference:
        [Wang et al., Multi-Similarity Loss, 2019](https://arxiv.org/abs/1904.06627)
    """

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 50.0,
        base: float = 0.5,
        name: str | None = "multi_similarity",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_positive(alpha=alpha, beta=beta)
        self.alpha = alpha
        self.beta = beta
        self.base = base

    def of_embeddings(self, labels: Any, embeddings: Any, weight: Any, present: Any) -> Any:
        embeddings = unit_norm(embeddings)
        above = ops.matmul(embeddings, ops.transpose(embeddings)) - self.base
        positive, negative = positives_and_negatives(labels, present)
        pull = ops.softplus(masked_logsumexp(-self.alpha * above, positive)) / self.alpha
        push = ops.softplus(masked_logsumexp(self.beta * above, negative)) / self.beta
        paired = ops.any(ops.logical_or(positive, negative), axis=1)
        return mean_over(pull + push, weight, paired)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "beta": self.beta,
            "base": self.base,
        }
