"""Metrics for labels in a hierarchy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from mtlkit.hierarchy._forms import as_hierarchy
from mtlkit.hierarchy._log_probabilities import (
    DECISIONS,
    decided_nodes,
    leaf_log_probabilities,
)
from mtlkit.hierarchy.tree import Hierarchy
from mtlkit.losses.hierarchical._base import distances_config
from mtlkit.metrics.masked import LabelledMean


class _HierarchicalMetric(LabelledMean):
    """The mean over the samples whose label is fine enough for it; NaN where none is.

    Labels are numbers of nodes, of shape `(batch,)` or `(batch, 1)`. Predictions are logits
    of the classes, `(batch, K)`, or of all nodes, `(batch, N)`, as told by their width.
    """

    def __init__(
        self,
        hierarchy: Any,
        distances: str | ArrayLike = "tree",
        decision: str = "likeliest",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if decision not in DECISIONS:
            raise ValueError(f"Expected decision in {DECISIONS}. Received: decision={decision!r}")
        self.hierarchy = as_hierarchy(hierarchy)
        self.distances = distances_config(distances)
        self.decision = decision
        self._distances = self.hierarchy.distances(self.distances).astype("float32")

    @abstractmethod
    def of_batch(self, labels: Any, outputs: Any) -> tuple[Any, Any]:
        """Returns the value of each sample, and whether it counts."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        outputs = ops.convert_to_tensor(y_pred)
        values, counts = self.of_batch(ops.maximum(labels, 0), outputs)
        weight = ops.cast(ops.logical_and(counts, labels >= 0), self.dtype)
        if sample_weight is not None:
            weight = weight * ops.reshape(ops.cast(sample_weight, self.dtype), (-1,))
        super().update_state(values, sample_weight=weight)

    def is_class(self, labels: Any) -> Any:
        """Whether labels are classes, rather than groups."""
        return labels < self.hierarchy.num_leaves

    def distances_to_all(self, labels: Any) -> Any:
        """The distances of labels, which are classes where it matters, to all classes."""
        classes = ops.minimum(labels, self.hierarchy.num_leaves - 1)
        return ops.take(self._distances, classes, axis=0)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "hierarchy": self.hierarchy.get_config(),
            "distances": self.distances,
            "decision": self.decision,
        }


@keras.saving.register_keras_serializable(package="mtlkit")
class LevelAccuracy(_HierarchicalMetric):
    """Share of samples whose node at a level is predicted right.

    Samples count whose label determines the level: those labelled with a class, or with a
    group of that level or below it. NaN where there is none.

    Args:
        hierarchy: A `mtlkit.Hierarchy`, its configuration, or groups as a dict.
        level: 1, the coarsest, to `hierarchy.depth`, that of the classes. `None`: the last.
        decision: `"likeliest"`, the likeliest node of the level, or `"least_cost"`, the one
            over the class with the least expected distance.
        distances: `"tree"`, `"circular"`, or a matrix, for `decision="least_cost"`.
        name: Name of the metric. `None`: `"accuracy"` of the last level, else
            `"level_{level}_accuracy"`.
        dtype: Dtype of the metric's state.

    Raises:
        ValueError: If there is no such level, or `decision` is neither.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics.hierarchical import LevelAccuracy

        groups = {"animal": ["cat", "dog"], "plant": ["oak", "fir"]}
        metric = LevelAccuracy(groups, level=1)
        metric.update_state(np.array([0, 5]), np.array([[0.0, 9.0, 0.0, 0.0]] * 2))
        assert float(metric.result()) == 0.5
        ```
    """

    def __init__(
        self,
        hierarchy: Any,
        level: int | None = None,
        decision: str = "likeliest",
        distances: str | ArrayLike = "tree",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        hierarchy = as_hierarchy(hierarchy)
        level = hierarchy.depth if level is None else level
        if not 1 <= level <= hierarchy.depth:
            raise ValueError(f"Expected level in 1...{hierarchy.depth}. Received: level={level}")
        default = "accuracy" if level == hierarchy.depth else f"level_{level}_accuracy"
        super().__init__(hierarchy, distances, decision, name=name or default, dtype=dtype)
        self.level = level

    def of_batch(self, labels: Any, outputs: Any) -> tuple[Any, Any]:
        true = ops.take(self.hierarchy.determined[:, self.level - 1], labels, axis=0)
        predicted = decided_nodes(
            self.hierarchy, outputs, self.level, self.decision, self._distances
        )
        right = ops.equal(ops.cast(true, "int32"), ops.cast(predicted, "int32"))
        return ops.cast(right, self.dtype), true >= 0

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "level": self.level}


@keras.saving.register_keras_serializable(package="mtlkit")
class MistakeSeverity(_HierarchicalMetric):
    """Mean distance between true and predicted class, over the mistakes only.

    Read it beside the accuracy: it also falls where mild mistakes are added to the severe
    ones. Samples labelled with a class count. NaN where there is no mistake.

    Args:
        hierarchy: A `mtlkit.Hierarchy`, its configuration, or groups as a dict.
        distances: `"tree"`, `"circular"`, or a matrix, see `mtlkit.Hierarchy.distances`.
        decision: `"likeliest"`, or `"least_cost"`, the class with the least expected distance.
        name: Name of the metric.
        dtype: Dtype of the metric's state.

    Raises:
        ValueError: If distances are none, or `decision` is neither.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics.hierarchical import MistakeSeverity

        metric = MistakeSeverity({"animal": ["cat", "dog"], "plant": ["oak", "fir"]})
        metric.update_state(np.array([0, 1, 2]), np.array([[9.0, 0.0, 0.0, 0.0]] * 3))
        assert float(metric.result()) == 1.5
        ```

    Reference:
        [Bertinetto et al., Making Better Mistakes, 2020](https://arxiv.org/abs/1912.09393)
    """

    def __init__(
        self,
        hierarchy: Any,
        distances: str | ArrayLike = "tree",
        decision: str = "likeliest",
        name: str = "mistake_severity",
        dtype: Any = None,
    ) -> None:
        super().__init__(hierarchy, distances, decision, name=name, dtype=dtype)

    def of_batch(self, labels: Any, outputs: Any) -> tuple[Any, Any]:
        tree = self.hierarchy
        predicted = decided_nodes(tree, outputs, tree.depth, self.decision, self._distances)
        predicted = ops.cast(predicted, "int32")
        severities = ops.take_along_axis(
            self.distances_to_all(labels), ops.expand_dims(predicted, -1), axis=1
        )[:, 0]
        mistaken = ops.not_equal(predicted, labels)
        return severities, ops.logical_and(self.is_class(labels), mistaken)


@keras.saving.register_keras_serializable(package="mtlkit")
class HierarchicalDistance(_HierarchicalMetric):
    """Mean distance between the true class and the `k` likeliest ones, mistaken or not.

    Samples labelled with a class count; NaN where there is none.

    Args:
        hierarchy: A `mtlkit.Hierarchy`, its configuration, or groups as a dict.
        k: Number of classes looked at.
        distances: `"tree"`, `"circular"`, or a matrix, see `mtlkit.Hierarchy.distances`.
        name: Name of the metric. `None`: `"hierarchical_distance_at_{k}"`.
        dtype: Dtype of the metric's state.

    Raises:
        ValueError: If `k` is not in `1 ... K`, or distances are none.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics.hierarchical import HierarchicalDistance

        metric = HierarchicalDistance({"animal": ["cat", "dog"], "plant": ["oak", "fir"]}, k=2)
        metric.update_state(np.array([0]), np.array([[9.0, 0.0, 0.0, 1.0]]))
        assert float(metric.result()) == 1.0
        ```

    Reference:
        [Bertinetto et al., Making Better Mistakes, 2020](https://arxiv.org/abs/1912.09393)
    """

    def __init__(
        self,
        hierarchy: Any,
        k: int = 1,
        distances: str | ArrayLike = "tree",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        hierarchy = as_hierarchy(hierarchy)
        if not 1 <= k <= hierarchy.num_leaves:
            raise ValueError(f"Expected k in 1...{hierarchy.num_leaves}. Received: k={k}")
        name = name or f"hierarchical_distance_at_{k}"
        super().__init__(hierarchy, distances, name=name, dtype=dtype)
        self.k = k

    def of_batch(self, labels: Any, outputs: Any) -> tuple[Any, Any]:
        _, likeliest = ops.top_k(leaf_log_probabilities(self.hierarchy, outputs), self.k)
        nearby = ops.take_along_axis(
            self.distances_to_all(labels), ops.cast(likeliest, "int32"), axis=1
        )
        return ops.mean(nearby, axis=-1), self.is_class(labels)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "k": self.k}
        del config["decision"]
        return config


def path_consistency(hierarchy: Hierarchy, classes: ArrayLike, nodes: ArrayLike) -> float:
    """Share of samples whose predicted class lies below the node predicted for it.

    Args:
        hierarchy: The hierarchy.
        classes: Predicted classes, of shape `(samples,)`, such as `"label"` of
            `HierarchicalHead.decode`.
        nodes: Predicted nodes of some level, of the same shape, such as `"level_1"`.

    Returns:
        The share.

    Raises:
        ValueError: If there are no samples, shapes differ, or numbers are out of range.

    Example:
        ```python
        from mtlkit.hierarchy import Hierarchy
        from mtlkit.metrics.hierarchical import path_consistency

        arcs = Hierarchy.circular(4, 2)
        assert path_consistency(arcs, classes=[0, 1, 2], nodes=[4, 5, 5]) == 2 / 3
        ```
    """
    classes = _numbers("classes", classes, hierarchy.num_leaves)
    nodes = _numbers("nodes", nodes, hierarchy.num_nodes)
    _check_as_many("nodes", nodes, classes)
    return float(hierarchy.ancestors[nodes, classes].mean())


def full_path_accuracy(
    hierarchy: Hierarchy, labels: ArrayLike, predicted: Sequence[ArrayLike]
) -> float:
    """Share of samples that are right at all levels that their label determines.

    Args:
        hierarchy: The hierarchy.
        labels: Numbers of nodes, of shape `(samples,)`; -1: unlabelled, left out.
        predicted: Predicted nodes of each level, coarsest first, each of the same shape.

    Returns:
        The share.

    Raises:
        ValueError: If there is no labelled sample, levels or shapes differ, or numbers are
            out of range.

    Example:
        ```python
        from mtlkit.hierarchy import Hierarchy
        from mtlkit.metrics.hierarchical import full_path_accuracy

        arcs = Hierarchy.circular(4, 2)
        assert full_path_accuracy(arcs, [0, 1, -1, 5], [[4, 5, 4, 5], [0, 1, 1, 1]]) == 2 / 3
        ```
    """
    labels = np.asarray(labels).reshape(-1)
    present = labels != -1
    labels = _numbers("labels", labels[present], hierarchy.num_nodes)
    if len(predicted) != hierarchy.depth:
        raise ValueError(
            f"Expected predictions for {hierarchy.depth} levels. Received: {len(predicted)}"
        )
    right = np.ones(len(labels), bool)
    for level, nodes in enumerate(predicted):
        nodes = np.asarray(nodes).reshape(-1)
        _check_as_many("predicted", nodes, present)
        true = hierarchy.determined[labels, level]
        right &= (true < 0) | (nodes[present] == true)
    return float(right.mean())


def _numbers(name: str, values: ArrayLike, count: int) -> np.ndarray:
    numbers = np.asarray(values).reshape(-1)
    if not numbers.size or numbers.dtype.kind not in "iu" or not _all_below(numbers, count):
        raise ValueError(
            f"Expected {name} as integers in 0...{count - 1}, at least one. Received: {values!r}"
        )
    return numbers


def _all_below(numbers: np.ndarray, count: int) -> bool:
    return bool(numbers.min() >= 0 and numbers.max() < count)


def _check_as_many(name: str, values: np.ndarray, others: np.ndarray) -> None:
    if values.shape != others.shape:
        raise ValueError(
            f"Expected {name} for {len(others)} samples. Received: shape {values.shape}"
        )
