"""Normalised temperature-scaled cross-entropy of positive pairs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers.unit_norm import unit_norm
from mtlkit.losses.contrastive._arguments import check_positive
from mtlkit.losses.contrastive._pairs import masked_logsumexp, mean_over, positives_and_negatives
from mtlkit.losses.contrastive.embedding_loss import EmbeddingLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class NTXent(EmbeddingLoss):
    """Picks each positive out of the negatives: NT-Xent, the loss of SimCLR, with labels.

    With cosines `s` of the embeddings and the temperature `t`, the loss of each pair of an
    anchor `i` and a positive `p` (another sample of its class) is

    `l_ip = -log(e^{s_ip / t} / (e^{s_ip / t} + sum_n e^{s_in / t}))`

    over the negatives `n` of the anchor. Unlike in `SupervisedContrastive` other positives are
    not in the denominator; where every anchor has one positive the two are the same.

    The value is the mean of `weight_i l_ip` over the positive pairs, and 0 with zero gradient
    where a batch has none. Embeddings are scaled to unit length. Samples without a label take
    no part.

    Args:
        temperature: The temperature `t`.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Call arguments:
        y_true: Labels of shape `(batch,)` or `(batch, 1)`; -1 (integer) or NaN where missing.
        y_pred: Embeddings of shape `(batch, dim)`, computed with in float32.

    Raises:
        ValueError: If `temperature` is not positive.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import NTXent

        value = NTXent()(np.array([0, 0, 1]), np.ones((3, 4)))
        assert abs(float(value) - np.log(2)) < 1e-5
        ```

    Reference:
        [Chen et al., A Simple Framework for Contrastive Learning, 2020](https://arxiv.org/abs/2002.05709)
    """

    def __init__(
        self, temperature: float = 0.07, name: str | None = "nt_xent", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_positive(temperature=temperature)
        self.temperature = temperature

    def of_embeddings(self, labels: Any, embeddings: Any, weight: Any, present: Any) -> Any:
        embeddings = unit_norm(embeddings)
        logits = ops.matmul(embeddings, ops.transpose(embeddings)) / self.temperature
        positive, negative = positives_and_negatives(labels, present)
        against = masked_logsumexp(logits, negative)
        return mean_over(ops.softplus(against[:, None] - logits), weight[:, None], positive)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
