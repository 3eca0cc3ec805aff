"""Cross-entropy to labels that are spread over near classes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from mtlkit.hierarchy._log_probabilities import node_log_probabilities
from mtlkit.losses.hierarchical._base import HierarchicalLoss, distances_config, of_label


def soft_tree_labels(distances: np.ndarray, beta: float) -> np.ndarray:
    """Spreads each class over the others: `q_i ~ exp(-beta D(i, y) / max D)`, of sum 1.

    With `beta = 0` labels are uniform; as `beta` grows they tend to one-hot ones.

    Args:
        distances: Distances `D` of classes, of shape `(K, K)`.
        beta: How fast labels fall with distance; not negative.

    Returns:
        Probabilities of shape `(K, K)`, a row for each class, float64.

    Example:
        ```python
        from mtlkit.hierarchy import Hierarchy
        from mtlkit.losses.hierarchical import soft_tree_labels

        labels = soft_tree_labels(Hierarchy.circular(32, 8).distances(), beta=10)
        assert labels[0].round(4)[[0, 1]].tolist() == [0.9790, 0.0066]
        ```
    """
    labels = np.exp(-beta * distances / distances.max())
    return labels / labels.sum(axis=1, keepdims=True)


@keras.saving.register_keras_serializable(package="mtlkit")
class SoftLabelCrossEntropy(HierarchicalLoss):
    """Cross-entropy to soft labels, which near classes share.

    `L = -sum_i q_i log p_i` with `q_i ~ exp(-beta D(i, y) / max D)`, `p` one softmax over
    the classes. It is at least the entropy of `q`. As `beta` grows it becomes the
    cross-entropy; without groups it is that with label smoothing.

    A label that is a group has the mean `q` of its classes, with these taken together:
    `-q_g log P(g) - sum_{i not in g} q_i log p_i`. So it says nothing about which of its
    classes is likelier.

    Args:
        hierarchy: A `mtlkit.Hierarchy`, its configuration, or groups as a dict.
        beta: How fast labels fall with distance; not negative. The authors try 4 to 30.
        distances: `"tree"`, `"circular"`, or a matrix, see `mtlkit.Hierarchy.distances`.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Input shape:
        Labels of shape `(batch,)` or `(batch, 1)`, integers: numbers of nodes. Logits of
        shape `(batch, K)`, one for each class.

    Raises:
        ValueError: If `beta` is negative, or distances are none.

    Example:
        ```python
        import numpy as np
        from mtlkit import losses
        from mtlkit.losses.hierarchical import SoftLabelCrossEntropy

        groups = {"animal": ["cat", "dog"], "plant": ["oak", "fir"]}
        loss = SoftLabelCrossEntropy(groups, beta=10)
        assert np.isclose(float(loss(np.array([0]), np.zeros((1, 4)))), np.log(4))
        ```

    Reference:
        [Bertinetto et al., Making Better Mistakes, 2020](https://arxiv.org/abs/1912.09393)
    """

    def __init__(
        self,
        hierarchy: Any,
        beta: float = 10.0,
        distances: str | ArrayLike = "tree",
        name: str = "soft_label_cross_entropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(hierarchy, name=name, **kwargs)
        if beta < 0:
            raise ValueError(f"Expected beta >= 0. Received: beta={beta}")
        self.beta = float(beta)
        self.distances = distances_config(distances)
        self._inside, self._outside = self._tables()

    def _tables(self) -> tuple[np.ndarray, np.ndarray]:
        """By label: what its own classes share, and what each of the others has."""
        tree = self.hierarchy
        labels = soft_tree_labels(tree.distances(self.distances), self.beta)
        below = tree.ancestors
        mean = (below / below.sum(axis=1, keepdims=True)) @ labels
        inside = np.where(below, mean, 0).sum(axis=1)
        return inside.astype("float32"), np.where(below, 0, mean).astype("float32")

    def of_labels(self, labels: Any, logits: Any) -> Any:
        log_probabilities = node_log_probabilities(self.hierarchy, logits)
        of_classes = log_probabilities[:, : self.hierarchy.num_leaves]
        others = ops.sum(ops.take(self._outside, labels, axis=0) * of_classes, axis=-1)
        own = ops.take(self._inside, labels, axis=0) * of_label(log_probabilities, labels)
        return -(own + others)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta": self.beta, "distances": self.distances}
