"""The likelihood of the path to the label."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.hierarchy._log_probabilities import conditional_log_probabilities
from mtlkit.losses.hierarchical._base import HierarchicalLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class ConditionalCrossEntropy(HierarchicalLoss):
    """Negative log-likelihood of the label under a tree of softmaxes.

    Each set of siblings has a softmax of its own, and the probability of a node is the
    product along its path: with the nodes `n_1, ..., n_d` from the first level down to the
    label, `L = -sum_l log P(n_l | n_{l - 1})`. The gradient is zero for the logits of
    all sets of siblings that are not on the path: a coarse label does not touch finer ones.
    Without groups it is the cross-entropy.

    Args:
        hierarchy: A `mtlkit.Hierarchy`, its configuration, or groups as a dict.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Input shape:
        Labels of shape `(batch,)` or `(batch, 1)`, integers: numbers of nodes. Logits of
        shape `(batch, N)`, one for each node.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.hierarchical import ConditionalCrossEntropy

        loss = ConditionalCrossEntropy({"animal": ["cat", "dog"], "plant": ["oak", "fir"]})
        by_class, by_group = loss.call(np.array([0, 4]), np.zeros((2, 6), "float32"))
        assert np.allclose([by_class, by_group], [np.log(4), np.log(2)])
        ```

    Reference:
        [Redmon and Farhadi, YOLO9000, 2017](https://arxiv.org/abs/1612.08242)
    """

    of_nodes = True

    def __init__(
        self, hierarchy: Any, name: str = "conditional_cross_entropy", **kwargs: Any
    ) -> None:
        super().__init__(hierarchy, name=name, **kwargs)

    def of_labels(self, labels: Any, logits: Any) -> Any:
        steps = self.along_path(labels, conditional_log_probabilities(self.hierarchy, logits))
        return -ops.sum(steps, axis=-1)
