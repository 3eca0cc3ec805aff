"""Cross-entropy over a fixed frame of directions, whose cosines follow the hierarchy."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from numpy.typing import ArrayLike

from mtlkit.hierarchy._log_probabilities import node_log_probabilities
from mtlkit.hierarchy.frames import frame_similarity
from mtlkit.losses.hierarchical._base import HierarchicalLoss, distances_config, of_label


@keras.saving.register_keras_serializable(package="mtlkit")
class FrameCrossEntropy(HierarchicalLoss):
    """Cross-entropy, mixed with how far cosines are from those of a hierarchy-aware frame.

    The classes have fixed directions `w_k` with the cosines
    `S = (1 - m) exp(-gamma D / max D) + m` (see `mtlkit.hierarchy.frames`). Logits are
    `scale cos(h, w_k)` of a feature `h`, and
    `L = -(1 - cosine_weight) log P(y) + cosine_weight sum_k (cos(h, w_k) - S[y, k])^2`.
    A label that is a group has no direction, hence only the first term, of `P(group)`.
    With `cosine_weight = 0` and without groups it is the cross-entropy.

    `mtlkit.heads.designs.FrameDesign` computes such logits; it normalises features,
    unlike the authors, so that cosines can be told from logits.

    Args:
        hierarchy: A `mtlkit.Hierarchy`, its configuration, or groups as a dict.
        distances: `"tree"`, `"circular"`, or a matrix, see `mtlkit.Hierarchy.distances`.
        gamma: How fast similarity falls with distance; positive.
        cosine_weight: Weight of the cosines, in [0, 1].
        scale: What logits are, in cosines; positive.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Input shape:
        Labels of shape `(batch,)` or `(batch, 1)`, integers: numbers of nodes. Logits of
        shape `(batch, K)`, one for each class.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        ```python
        import numpy as np
        from mtlkit.hierarchy import Hierarchy
        from mtlkit.hierarchy.frames import frame_similarity
        from mtlkit.losses.hierarchical import FrameCrossEntropy

        arcs = Hierarchy.circular(8, 4)
        loss = FrameCrossEntropy(arcs, distances="circular", cosine_weight=1.0)
        cosines = frame_similarity(arcs.distances("circular"), gamma=2.0)
        assert float(loss(np.arange(8), 16 * cosines)) < 1e-6
        ```

    Reference:
        [Liang and Davis, Inducing Neural Collapse to a Fixed Hierarchy-Aware Frame for
        Reducing Mistake Severity, 2023](https://arxiv.org/abs/2303.05689)
    """

    def __init__(
        self,
        hierarchy: Any,
        distances: str | ArrayLike = "tree",
        gamma: float = 2.0,
        cosine_weight: float = 0.4,
        scale: float = 16.0,
        name: str = "frame_cross_entropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(hierarchy, name=name, **kwargs)
        if not 0 <= cosine_weight <= 1:
            raise ValueError(
                f"Expected cosine_weight in [0, 1]. Received: cosine_weight={cosine_weight}"
            )
        if not scale > 0:
            raise ValueError(f"Expected scale > 0. Received: scale={scale}")
        self.distances = distances_config(distances)
        self.gamma = float(gamma)
        self.cosine_weight = float(cosine_weight)
        self.scale = float(scale)
        similarity = frame_similarity(self.hierarchy.distances(self.distances), self.gamma)
        self._similarity = similarity.astype("float32")

    def of_labels(self, labels: Any, logits: Any) -> Any:
        log_probabilities = node_log_probabilities(self.hierarchy, logits)
        likelihood = of_label(log_probabilities, labels)
        return (self.cosine_weight - 1) * likelihood + self.cosine_weight * ops.where(
            labels < self.hierarchy.num_leaves, self._cosine_errors(labels, logits), 0.0
        )

    def _cosine_errors(self, labels: Any, logits: Any) -> Any:
        classes = ops.minimum(labels, self.hierarchy.num_leaves - 1)
        targets = ops.take(self._similarity, classes, axis=0)
        return ops.sum(ops.square(logits / self.scale - targets), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "distances": self.distances,
            "gamma": self.gamma,
            "cosine_weight": self.cosine_weight,
            "scale": self.scale,
        }
