"""Rank-N-Contrast: embeddings in the order of their labels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.losses.contrastive._arguments import check_num_bins, check_positive
from mtlkit.losses.contrastive._pairs import (
    feature_distance,
    label_distance,
    masked_logsumexp,
    mean_over,
    pair_mask,
)
from mtlkit.losses.contrastive.embedding_loss import EmbeddingLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class RankNContrast(EmbeddingLoss):
    """Orders the embeddings around each sample as their labels are ordered.

    With Euclidean distances `d_ij` of the embeddings, distances `D_ij` of the labels and the
    temperature `t`, the loss of anchor `i` among `n` samples is

    `l_i = -1 / (n - 1) sum_{j != i} log(e^{-d_ij / t}
    / sum_{k != i, D_ik >= D_ij} e^{-d_ik / t})`

    so each other sample in turn is the positive, against those that are as far or farther in
    label. No two labels need be the same: it suits angles in bins, and numbers.

    The value is the mean of `weight_i l_i` over the labelled samples, and 0 with zero gradient
    where a batch has fewer than two. As in the paper embeddings are *not* scaled: lower the
    temperature where they have unit length. Samples without a label take no part. It needs
    memory for `batch^3` and `batch^2 dim` numbers.

    Args:
        temperature: The temperature `t`, in units of the embeddings' distances.
        num_bins: Number of labels around the circle that they are on; `None`: they are on a
            line.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Call arguments:
        y_true: Labels of shape `(batch,)` or `(batch, 1)`, integer or floating-point; -1
            (integer) or NaN where missing.
        y_pred: Embeddings of shape `(batch, dim)`, computed with in float32.

    Raises:
        ValueError: If `temperature` is not positive, or `num_bins < 2`.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import RankNContrast

        bins = np.arange(8)
        angles = 2 * np.pi * bins / 8
        circle = 5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        loss = RankNContrast(num_bins=8)
        assert float(loss(bins, circle)) < float(loss(bins[[0, 5, 2, 7, 4, 1, 6, 3]], circle))
        ```

    Reference:
        [Zha et al., Rank-N-Contrast, 2023](https://arxiv.org/abs/2210.01189)
    """

    def __init__(
        self,
        temperature: float = 2.0,
        num_bins: int | None = None,
        name: str | None = "rank_n_contrast",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_positive(temperature=temperature)
        check_num_bins(num_bins)
        self.temperature = temperature
        self.num_bins = num_bins

    def of_embeddings(self, labels: Any, embeddings: Any, weight: Any, present: Any) -> Any:
        logits = -feature_distance(embeddings) / self.temperature
        distance = label_distance(labels, self.num_bins)
        pairs = pair_mask(present)
        # (anchor i, positive j, other k)
        as_far = ops.logical_and(pairs[:, None, :], distance[:, None, :] >= distance[:, :, None])
        others = ops.broadcast_to(logits[:, None, :], ops.shape(as_far))
        losses = masked_logsumexp(others, as_far) - logits
        of_anchor = ops.sum(ops.where(pairs, losses, ops.zeros_like(losses)), axis=1)
        number = ops.sum(ops.cast(pairs, "float32"), axis=1)
        return mean_over(of_anchor / ops.maximum(number, 1.0), weight, number > 0)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "num_bins": self.num_bins,
        }
