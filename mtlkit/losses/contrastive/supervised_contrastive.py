"""Supervised contrastive loss, with hard or soft pairs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.layers.unit_norm import unit_norm
from mtlkit.losses.contrastive._arguments import check_num_bins, check_positive
from mtlkit.losses.contrastive._pairs import (
    label_distance,
    masked_logsumexp,
    mean_over,
    normalized_weights,
    pair_mask,
)
from mtlkit.losses.contrastive.embedding_loss import EmbeddingLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class SupervisedContrastive(EmbeddingLoss):
    """Pulls each sample to those that it should be like, against all others of the batch.

    With cosines `s_ij` of the embeddings and the temperature `t`, the loss of anchor `i` is

    `l_i = -sum_{j != i} (w_ij / sum_{j != i} w_ij) log(e^{s_ij / t} / sum_{a != i} e^{s_ia / t})`

    where the weight `w_ij` says how alike the samples of a pair should be:

    - `pair_weights="hard"`: 1 where their labels are equal, else 0. This is SupCon (`L_out`).
    - `pair_weights="gaussian"`: `exp(-d^2 / (2 width^2))` of the distance `d` of their labels,
      around a circle of `num_bins` labels, or along a line where `num_bins` is `None`. This
      is y-aware InfoNCE, for bins of an angle, or for numbers.
    - a matrix of shape `(classes, classes)`: `w_ij` is its entry for the two labels. For other
      likenesses, such as those of a hierarchy.

    The value is the mean of `weight_i l_i` over the anchors with at least one positive (a pair
    with `w_ij > 1e-12`), and 0 with zero gradient where a batch has none: an anchor without
    positive, for which the published code divides zero by zero, does not count. Embeddings are
    scaled to unit length. Samples without a label take no part.

    Anchors need company: of 32 classes in a batch of 32 samples, 37 % have no positive. See
    `mtlkit.datasets.ClassBalancedBatches`.

    Args:
        temperature: The temperature `t`.
        pair_weights: `"hard"`, `"gaussian"`, or a matrix of likenesses of classes.
        width: Width of the Gaussian, in units of the labels.
        num_bins: Number of labels around the circle, for the Gaussian; `None`: no circle.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Call arguments:
        y_true: Labels of shape `(batch,)` or `(batch, 1)`; -1 (integer) or NaN where missing.
        y_pred: Embeddings of shape `(batch, dim)`, computed with in float32.

    Raises:
        ValueError: If `temperature` or `width` is not positive, `num_bins < 2`, or
            `pair_weights` is none of the above.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import SupervisedContrastive

        loss = SupervisedContrastive(temperature=0.1)
        labels = np.array([0, 0, 1, 1])
        apart, together = np.eye(2)[labels], np.ones((4, 2))
        assert float(loss(labels, apart)) < 1e-3
        assert abs(float(loss(labels, together)) - np.log(3)) < 1e-5
        ```

    Reference:
        [Khosla et al., Supervised Contrastive Learning, 2020](https://arxiv.org/abs/2004.11362);
        [Dufumier et al., Contrastive Learning with Continuous Proxy Meta-Data, 2021](https://arxiv.org/abs/2106.08808)
    """

    def __init__(
        self,
        temperature: float = 0.1,
        pair_weights: Any = "hard",
        width: float = 1.0,
        num_bins: int | None = None,
        name: str | None = "supervised_contrastive",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_positive(temperature=temperature, width=width)
        check_num_bins(num_bins)
        self.temperature = temperature
        self.pair_weights = _as_pair_weights(pair_weights)
        self.width = width
        self.num_bins = num_bins

    def of_embeddings(self, labels: Any, embeddings: Any, weight: Any, present: Any) -> Any:
        embeddings = unit_norm(embeddings)
        logits = ops.matmul(embeddings, ops.transpose(embeddings)) / self.temperature
        pairs = pair_mask(present)
        targets, counted = normalized_weights(self._weights(labels), pairs)
        losses = masked_logsumexp(logits, pairs) - ops.sum(targets * logits, axis=1)
        return mean_over(losses, weight, counted)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "pair_weights": self.pair_weights,
            "width": self.width,
            "num_bins": self.num_bins,
        }

    def _weights(self, labels: Any) -> Any:
        if self.pair_weights == "hard":
            return ops.cast(ops.equal(labels[:, None], labels[None, :]), "float32")
        if self.pair_weights == "gaussian":
            distance = label_distance(labels, self.num_bins) / self.width
            return ops.exp(-0.5 * ops.square(distance))
        matrix = ops.convert_to_tensor(self.pair_weights, dtype="float32")
        labels = ops.cast(labels, "int32")
        return ops.take(ops.take(matrix, labels, axis=0), labels, axis=1)


def _as_pair_weights(pair_weights: Any) -> Any:
    """Returns the name, or the matrix as nested lists, which can be saved."""
    expected = (
        'Expected pair_weights to be "hard", "gaussian" or a square matrix of numbers >= 0. '
        "Received: "
    )
    if isinstance(pair_weights, str):
        if pair_weights not in ("hard", "gaussian"):
            raise ValueError(f"{expected}{pair_weights!r}")
        return pair_weights
    matrix = np.asarray(pair_weights)
    if matrix.dtype.kind not in "fiub" or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{expected}{matrix.dtype} of shape {matrix.shape}")
    if not np.all(np.isfinite(matrix)) or matrix.min(initial=0) < 0:
        raise ValueError(f"{expected}values from {matrix.min()} to {matrix.max()}")
    return matrix.astype("float64").tolist()
