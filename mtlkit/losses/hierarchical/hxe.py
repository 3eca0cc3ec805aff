"""Hierarchical cross-entropy: the path's terms, weighted by their level."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.hierarchy._log_probabilities import node_log_probabilities
from mtlkit.losses.hierarchical._base import HierarchicalLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class HierarchicalCrossEntropy(HierarchicalLoss):
    """Hierarchical cross-entropy (HXE): what lies deeper in the tree counts less.

    The cross-entropy of one softmax over the classes is a sum along the path
    `n_1, ..., n_d` to the label, whose terms are weighted by their level:
    `L = -sum_l exp(-alpha (l - 1)) log P(n_l | n_{l - 1})`. With `alpha = 0` that is the
    cross-entropy, and so it is, whatever `alpha`, without groups. The larger `alpha`, the
    milder the mistakes, and the more of them.

    The weights are those of the authors' experiments, which count levels from the root,
    times `exp(alpha)`. They are not normalised. A label that is a group has the terms down
    to it.

    Args:
        hierarchy: A `mtlkit.Hierarchy`, its configuration, or groups as a dict.
        alpha: How much less each level counts; not negative. The authors try 0.1 to 0.6.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Input shape:
        Labels of shape `(batch,)` or `(batch, 1)`, integers: numbers of nodes. Logits of
        shape `(batch, K)`, one for each class.

    Raises:
        ValueError: If `alpha` is negative.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.hierarchical import HierarchicalCrossEntropy

        groups = {"animal": ["cat", "dog"], "plant": ["oak", "fir"]}
        value = HierarchicalCrossEntropy(groups, alpha=0.3)(np.array([0]), np.zeros((1, 4)))
        assert np.isclose(float(value), (1 + np.exp(-0.3)) * np.log(2))
        ```

    Reference:
        [Bertinetto et al., Making Better Mistakes, 2020](https://arxiv.org/abs/1912.09393)
    """

    def __init__(
        self,
        hierarchy: Any,
        alpha: float = 0.2,
        name: str = "hierarchical_cross_entropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(hierarchy, name=name, **kwargs)
        if alpha < 0:
            raise ValueError(f"Expected alpha >= 0. Received: alpha={alpha}")
        self.alpha = float(alpha)

    def of_labels(self, labels: Any, logits: Any) -> Any:
        tree = self.hierarchy
        log_probabilities = node_log_probabilities(tree, logits)
        of_parent = np.maximum(tree.parents, 0)
        has_parent = np.greater_equal(tree.parents, 0)
        above = ops.take(log_probabilities, of_parent, axis=1)
        above = ops.where(has_parent, above, ops.zeros_like(above))
        weights = np.exp(-self.alpha * (tree.depths - 1)).astype("float32")
        terms = ops.multiply(log_probabilities - above, weights)
        return -ops.sum(self.along_path(labels, terms), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}
