"""Cross-entropy of the classes, and of the groups by the sums over their classes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from mtlkit.hierarchy._arrays import padded
from mtlkit.hierarchy._log_probabilities import gathered_logsumexp, node_log_probabilities
from mtlkit.losses.hierarchical._base import HierarchicalLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class MarginalCrossEntropy(HierarchicalLoss):
    """Cross-entropy of one softmax over the classes, and of its sums over groups.

    With the class `y`, its groups `g_l(y)` at the coarser levels and `P(g)` the sum of the
    probabilities of the classes in `g`, `L = -log P(y) - coarse_weight sum_l log P(g_l(y))`.
    A label that is a group has the terms of that group and the ones above. Sums are taken in
    log space, so the loss grows without bound as `P(y)` goes to 0. Without groups it is the
    cross-entropy.

    `groups` adds a second view of the classes, whose groups may overlap: the mean of
    `-coarse_weight log P(g)` over the groups `g` that hold the label (all of its classes,
    if it is a group itself); for groups that do not overlap that is their cross-entropy.

    Args:
        hierarchy: A `mtlkit.Hierarchy`, its configuration, or groups as a dict.
        coarse_weight: Weight of the groups' terms; not negative.
        groups: Which classes are in which further groups, of shape `(K, groups)`, such as
            from `mtlkit.hierarchy.circular_arcs`; or `None`.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Input shape:
        Labels of shape `(batch,)` or `(batch, 1)`, integers: numbers of nodes. Logits of
        shape `(batch, K)`, one for each class.

    Raises:
        ValueError: If `coarse_weight` is negative, or `groups` has another shape or an empty
            group.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.hierarchical import MarginalCrossEntropy

        loss = MarginalCrossEntropy({"animal": ["cat", "dog"], "plant": ["oak", "fir"]})
        value = loss(np.array([0]), np.zeros((1, 4), "float32"))
        assert np.isclose(float(value), np.log(4) + 0.5 * np.log(2))
        ```
    """

    def __init__(
        self,
        hierarchy: Any,
        coarse_weight: float = 0.5,
        groups: ArrayLike | None = None,
        name: str = "marginal_cross_entropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(hierarchy, name=name, **kwargs)
        if coarse_weight < 0:
            raise ValueError(
                f"Expected coarse_weight >= 0. Received: coarse_weight={coarse_weight}"
            )
        self.coarse_weight = float(coarse_weight)
        self.groups = None if groups is None else _checked(groups, self.hierarchy.num_leaves)

    def of_labels(self, labels: Any, logits: Any) -> Any:
        tree = self.hierarchy
        weights = np.full(tree.num_nodes, self.coarse_weight, "float32")
        weights[: tree.num_leaves] = 1
        terms = ops.multiply(node_log_probabilities(tree, logits), weights)
        loss = -ops.sum(self.along_path(labels, terms), axis=-1)
        return loss if self.groups is None else loss + self._of_groups(labels, logits, self.groups)

    def _of_groups(self, labels: Any, logits: Any, groups: np.ndarray) -> Any:
        """The mean over the groups that hold all classes of the label; 0 if none does."""
        outside = self.hierarchy.ancestors.astype("int64") @ ~groups
        holds = outside == 0
        shares = holds / np.maximum(holds.sum(axis=1, keepdims=True), 1)
        members = padded([np.flatnonzero(group).tolist() for group in groups.T], fill=-1)
        log_probabilities = gathered_logsumexp(ops.log_softmax(logits, axis=-1), members)
        of_label = ops.take(shares.astype("float32"), labels, axis=0)
        return -self.coarse_weight * ops.sum(of_label * log_probabilities, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "coarse_weight": self.coarse_weight,
            "groups": None if self.groups is None else self.groups.astype(int).tolist(),
        }


def _checked(groups: ArrayLike, num_leaves: int) -> np.ndarray:
    matrix = np.asarray(groups)
    if matrix.ndim != 2 or len(matrix) != num_leaves or not np.isin(matrix, (0, 1)).all():
        raise ValueError(
            f"Expected groups as a matrix of 0 and 1 of shape ({num_leaves}, groups). "
            f"Received: shape {matrix.shape}"
        )
    empty = np.flatnonzero(~matrix.any(axis=0))
    if empty.size or not matrix.size:
        raise ValueError(
            f"Expected groups with at least one class each. Received: none in group {empty}"
        )
    return matrix.astype(bool)
