"""Triplets of anchor, positive and semi-hard negative."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers.unit_norm import unit_norm
from mtlkit.losses.contrastive._arguments import check_positive
from mtlkit.losses.contrastive._pairs import feature_distance, mean_over, positives_and_negatives
from mtlkit.losses.contrastive.embedding_loss import EmbeddingLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class TripletSemiHard(EmbeddingLoss):
    """Asks that negatives be farther than positives by a margin, where they nearly are.

    With Euclidean distances `d` of the embeddings, the loss of an anchor `a`, a positive `p`
    (another sample of its class) and a negative `n` is `l_apn = d_ap - d_an + margin`, of all
    triplets that are semi-hard: `0 < d_an - d_ap <= margin`. Harder ones, which let embeddings
    collapse, and easy ones are left out.

    The value is the mean of `weight_a l_apn` over these triplets, and 0 with zero gradient
    where a batch has none, which is so also when all embeddings are the same. Embeddings are
    scaled to unit length. Samples without a label take no part. It needs memory for
    `batch^3` numbers.

    Args:
        margin: The margin; distances are at most 2.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Call arguments:
        y_true: Labels of shape `(batch,)` or `(batch, 1)`; -1 (integer) or NaN where missing.
        y_pred: Embeddings of shape `(batch, dim)`, computed with in float32.

    Raises:
        ValueError: If `margin` is not positive.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import TripletSemiHard

        angles = np.array([0.0, 0.1, 0.2])
        embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        value = TripletSemiHard(margin=0.2)(np.array([0, 0, 1]), embeddings)
        assert abs(float(value) - 0.1) < 1e-3
        ```

    Reference:
        [Schroff et al., FaceNet, 2015](https://arxiv.org/abs/1503.03832)
    """

    def __init__(
        self, margin: float = 0.2, name: str | None = "triplet_semi_hard", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_positive(margin=margin)
        self.margin = margin

    def of_embeddings(self, labels: Any, embeddings: Any, weight: Any, present: Any) -> Any:
        distance = feature_distance(unit_norm(embeddings))
        positive, negative = positives_and_negatives(labels, present)
        gap = distance[:, None, :] - distance[:, :, None]  # (anchor, positive, negative)
        triplets = ops.logical_and(positive[:, :, None], negative[:, None, :])
        semi_hard = ops.logical_and(triplets, ops.logical_and(gap > 0, gap <= self.margin))
        return mean_over(self.margin - gap, weight[:, None, None], semi_hard)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}
