"""A cross-entropy for each level, with weights that move from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.hierarchy._log_probabilities import conditional_log_probabilities
from mtlkit.losses.hierarchical._base import HierarchicalLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class CoarseToFineCrossEntropy(HierarchicalLoss):
    """The weighted sum of the cross-entropies of all levels, coarse ones first in time.

    `L = -sum_l w_l log P(n_l)`, where `n_l` is the label's node at level `l` and the
    probabilities are those of a tree of softmaxes, each over siblings. The weights `w` are
    to move from the coarse levels to the fine ones as training goes on, as in a branch
    convolutional network (B-CNN); but there each level has a classifier of its own, which may
    contradict the others, and here the levels are those of one tree. A label that is a
    group has the terms of its own level and the ones above. Without groups, and with the
    weight 1, it is the cross-entropy.

    Weights that change belong to a model: `mtlkit.heads.HierarchicalHead` gives the loss its
    variable `level_weights`, which `LevelWeightSchedule` changes and the model saves. The
    configuration of the loss holds the numbers of the moment: a loss that is read from a
    file has them as constants.

    Args:
        hierarchy: A `mtlkit.Hierarchy`, its configuration, or groups as a dict.
        level_weights: The weight of each level, coarsest first; numbers, or a
            `keras.Variable` of shape `(depth,)`. `None`: `1 / depth` each.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Input shape:
        Labels of shape `(batch,)` or `(batch, 1)`, integers: numbers of nodes. Logits of
        shape `(batch, N)`, one for each node.

    Raises:
        ValueError: If weights are not one for each level, not negative and not all zero.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.hierarchical import CoarseToFineCrossEntropy

        groups = {"animal": ["cat", "dog"], "plant": ["oak", "fir"]}
        loss = CoarseToFineCrossEntropy(groups, level_weights=[0.9, 0.1])
        value = loss(np.array([0]), np.zeros((1, 6)))
        assert np.isclose(float(value), 0.9 * np.log(2) + 0.1 * np.log(4))
        ```

    Reference:
        [Zhu and Bain, B-CNN: Branch Convolutional Neural Network for Hierarchical
        Classification, 2017](https://arxiv.org/abs/1709.09890)
    """

    of_nodes = True

    def __init__(
        self,
        hierarchy: Any,
        level_weights: Any = None,
        name: str = "coarse_to_fine_cross_entropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(hierarchy, name=name, **kwargs)
        depth = self.hierarchy.depth
        if not isinstance(level_weights, keras.Variable):
            level_weights = checked_level_weights(level_weights, depth)
        elif tuple(level_weights.shape) != (depth,):
            raise ValueError(
                f"Expected level_weights of shape ({depth},). Received: {level_weights.shape}"
            )
        self.level_weights = level_weights

    def of_labels(self, labels: Any, logits: Any) -> Any:
        steps = self.along_path(labels, conditional_log_probabilities(self.hierarchy, logits))
        determined = ops.take((self.hierarchy.determined >= 0).astype("float32"), labels, axis=0)
        weights = determined * ops.cast(self.level_weights, "float32")
        # A class above the last level stands for itself below: its later steps are zero.
        return -ops.sum(weights * ops.cumsum(steps, axis=-1), axis=-1)

    def get_config(self) -> dict[str, Any]:
        weights = ops.convert_to_numpy(self.level_weights)
        return {**super().get_config(), "level_weights": [float(weight) for weight in weights]}


def checked_level_weights(weights: Sequence[float] | None, depth: int) -> tuple[float, ...]:
    """Reads the weights of levels."""
    if weights is None:
        return (1 / depth,) * depth
    numbers = np.asarray(weights, "float64")
    if numbers.shape != (depth,) or not np.all(numbers >= 0) or not 0 < numbers.sum() < np.inf:
        raise ValueError(
            f"Expected {depth} level_weights >= 0, not all of them 0. Received: {weights}"
        )
    return tuple(numbers.tolist())
