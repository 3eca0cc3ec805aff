"""The frame of losses for labels in a hierarchy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from mtlkit.hierarchy._forms import as_hierarchy


class HierarchicalLoss(keras.losses.Loss, ABC):
    """A loss of logits whose labels are nodes of a hierarchy.

    Labels are integers of shape `(batch,)` or `(batch, 1)`: classes `0 ... K - 1`, or groups
    `K ... N - 1` of samples of which no more is known. A label of -1 has the loss 0;
    `mtlkit.losses.MaskedLoss` also leaves it out of the mean. Subclasses say in `of_nodes`
    whether logits are one for each class or one for each node, and define `of_labels`.
    """

    #: Whether logits are one for each node, rather than one for each class.
    of_nodes = False

    def __init__(self, hierarchy: Any, name: str, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.hierarchy = as_hierarchy(hierarchy)

    @abstractmethod
    def of_labels(self, labels: Any, logits: Any) -> Any:
        """Computes the loss of each sample.

        Args:
            labels: Numbers of nodes, int32, of shape `(batch,)`.
            logits: Logits of shape `(batch, K)` or `(batch, N)`, float32.

        Returns:
            A tensor of shape `(batch,)`.
        """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        width = self.hierarchy.num_nodes if self.of_nodes else self.hierarchy.num_leaves
        if y_pred.shape[-1] != width:
            raise ValueError(
                f"Expected {width} logits, one for each {'node' if self.of_nodes else 'class'} of "
                f"the hierarchy. Received: shape {tuple(y_pred.shape)}"
            )
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        losses = self.of_labels(ops.maximum(labels, 0), ops.cast(y_pred, "float32"))
        return ops.where(labels >= 0, losses, ops.zeros_like(losses))

    def along_path(self, labels: Any, values: Any) -> Any:
        """Picks the values of the nodes from level 1 down to the label, then 0.

        Args:
            labels: Numbers of nodes, of shape `(batch,)`.
            values: Values of all nodes, of shape `(batch, N)`.

        Returns:
            A tensor of shape `(batch, depth)`.
        """
        paths = self.hierarchy.paths
        there = ops.take(paths >= 0, labels, axis=0)
        nodes = ops.take(np.maximum(paths, 0), labels, axis=0)
        picked = ops.take_along_axis(values, nodes, axis=1)
        return ops.where(there, picked, ops.zeros_like(picked))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hierarchy": self.hierarchy.get_config()}


def of_label(values: Any, labels: Any) -> Any:
    """Picks the value of the label of each sample.

    Args:
        values: A tensor of shape `(batch, nodes)`.
        labels: Numbers of nodes, of shape `(batch,)`.

    Returns:
        A tensor of shape `(batch,)`.
    """
    return ops.take_along_axis(values, ops.expand_dims(labels, -1), axis=1)[:, 0]


def distances_config(distances: str | ArrayLike) -> Any:
    """Returns distances, by name or as a matrix, as JSON knows them."""
    return distances if isinstance(distances, str) else np.asarray(distances).tolist()
