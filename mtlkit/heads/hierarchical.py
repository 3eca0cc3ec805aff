"""Hierarchical classification: classes in groups of groups."""

from __future__ import annotations

from inspect import signature
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from mtlkit.heads._designed_head import DesignedHead
from mtlkit.heads._labels import check_classes
from mtlkit.heads.designs.design import Design
from mtlkit.heads.designs.frame import FrameDesign
from mtlkit.heads.designs.pooled import PooledDesign
from mtlkit.heads.designs.tree import CoarseToFineDesign
from mtlkit.hierarchy._forms import as_hierarchy
from mtlkit.hierarchy._log_probabilities import (
    DECISIONS,
    decided_nodes,
    leaf_log_probabilities,
    node_log_probabilities,
)
from mtlkit.losses.hierarchical._base import HierarchicalLoss, distances_config
from mtlkit.losses.hierarchical.coarse_to_fine import (
    CoarseToFineCrossEntropy,
    checked_level_weights,
)
from mtlkit.losses.hierarchical.conditional import ConditionalCrossEntropy
from mtlkit.losses.hierarchical.frame import FrameCrossEntropy
from mtlkit.losses.hierarchical.hxe import HierarchicalCrossEntropy
from mtlkit.losses.hierarchical.marginal import MarginalCrossEntropy
from mtlkit.losses.hierarchical.soft_labels import SoftLabelCrossEntropy
from mtlkit.losses.masked import MaskedLoss
from mtlkit.metrics.hierarchical import LevelAccuracy, MistakeSeverity
from mtlkit.metrics.masked import MaskedMetric
from mtlkit.space import Boolean, Choice, Float, When

#: The losses by name.
LOSSES: dict[str, type[HierarchicalLoss]] = {
    "conditional": ConditionalCrossEntropy,
    "marginal": MarginalCrossEntropy,
    "hxe": HierarchicalCrossEntropy,
    "soft_labels": SoftLabelCrossEntropy,
    "coarse_to_fine": CoarseToFineCrossEntropy,
    "frame": FrameCrossEntropy,
}


@keras.saving.register_keras_serializable(package="mtlkit")
class HierarchicalHead(DesignedHead):
    """Predicts a class in a hierarchy of groups, consistently at all levels.

    Labels are integers, of shape `(batch,)` or `(batch, 1)`: classes `0 ... K - 1`, or
    groups `K ... N - 1` (see `mtlkit.Hierarchy`) of samples of which no more is known; -1
    means unlabelled. The probabilities of classes always sum to 1, and that of a group is
    the sum of its children's. The loss is the mean over the labelled samples, and one of:

    - `"conditional"`: a tree of softmaxes, each over siblings; the likelihood of the path.
    - `"marginal"`: one softmax over the classes; the cross-entropy of the class, and
      `coarse_weight` times those of its groups, by sums.
    - `"hxe"`: one softmax; the path's terms count less by `exp(-alpha)` at each level down.
    - `"soft_labels"`: one softmax; labels that near classes share.
    - `"coarse_to_fine"`: a tree of softmaxes; the cross-entropies of all levels, with
      weights that `mtlkit.losses.hierarchical.LevelWeightSchedule` moves from coarse to
      fine. The head may then be called on a list of maps, one for each level, coarsest
      first: in a `mtlkit.MultiTaskModel` by `Task(..., feature=("stage2", "stage3"))`.
    - `"frame"`: fixed directions of the classes, whose cosines follow their distances.

    They are described in `mtlkit.losses.hierarchical`. Without groups the first three are
    the cross-entropy.

    The default pooling keeps positions, since fine classes are told apart by where small
    things are, and bins on a circle by nothing else. Prefer `"average"` for large maps, of
    which flattening makes many weights, and for objects that may be anywhere.

    Args:
        hierarchy: A `mtlkit.Hierarchy`, its configuration, or groups as a dict,
            `{"coarse": ["fine", ...]}`.
        loss: One of the above.
        coarse_weight: Weight of the groups' terms, for `"marginal"`. `None`: 0.5.
        groups: Further groups, which may overlap, as a matrix of shape `(K, groups)`, for
            `"marginal"`, such as from `mtlkit.hierarchy.circular_arcs`.
        alpha: How much less each level down counts, for `"hxe"`. `None`: 0.2.
        beta: How fast labels fall with distance, for `"soft_labels"`. `None`: 10.
        level_weights: The weights of the levels to begin with, coarsest first, for
            `"coarse_to_fine"`. `None`: equal ones. The head's attribute of this name is the
            variable, a saved, non-trainable weight of the model.
        gamma: How fast similarity falls with distance, for `"frame"`. `None`: 2.
        cosine_weight: Weight of the cosines in the loss, for `"frame"`. `None`: 0.4.
        scale: What logits are, in cosines, for `"frame"`. `None`: 16.
        distances: `"tree"`, `"circular"`, or a matrix: the distances of classes, for
            `"soft_labels"` and `"frame"`, for the severity of mistakes, and for decisions.
        decision: How a class is chosen: `"likeliest"`, or `"least_cost"`, the one with the
            least expected distance to the truth (conditional risk minimisation).
        pooling: How a map becomes a vector: `"flatten"`, `"average"`, `"max"`,
            `"attention"` or `"spatial_softmax"`. See `mtlkit.layers.FeaturePooling`.
        hidden_units: Width of the hidden layer; 0 for none.
        dropout: Rate of dropout before the last layer.
        layer_norm: Whether to normalise the pooled vector of each sample.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, channels)`, or a map as in `mtlkit.layers.FeaturePooling`, or for
        `"coarse_to_fine"` a list of these.

    Output shape:
        float32 logits: for `"conditional"` and `"coarse_to_fine"` one for each node,
        `(batch, N)`; else one for each class, `(batch, K)`.

    Raises:
        ValueError: If an argument is out of range, or given to a loss that has no use for it.

    Example:
        ```python
        import keras
        from mtlkit.heads.hierarchical import HierarchicalHead

        features = keras.Input((8, 8, 16))
        head = HierarchicalHead({"animal": ["cat", "dog"], "plant": ["oak", "fir"]})
        model = keras.Model(features, head(features))
        model.compile("adam", loss=head.default_loss(), metrics=head.default_metrics())
        ```

    Reference:
        [Bertinetto et al., Making Better Mistakes, 2020](https://arxiv.org/abs/1912.09393)
    """

    def __init__(
        self,
        hierarchy: Any,
        loss: str = "conditional",
        coarse_weight: float | None = None,
        groups: ArrayLike | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        level_weights: Any = None,
        gamma: float | None = None,
        cosine_weight: float | None = None,
        scale: float | None = None,
        distances: str | ArrayLike = "tree",
        decision: str = "likeliest",
        pooling: str = "flatten",
        hidden_units: int = 128,
        dropout: float = 0.0,
        layer_norm: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if loss not in LOSSES:
            raise ValueError(f"Expected loss to be one of {list(LOSSES)}. Received: loss={loss!r}")
        if decision not in DECISIONS:
            raise ValueError(f"Expected decision in {DECISIONS}. Received: decision={decision!r}")
        self.hierarchy = as_hierarchy(hierarchy)
        self.loss = loss
        self.coarse_weight = coarse_weight
        self.groups = None if groups is None else np.asarray(groups).astype(int).tolist()
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.cosine_weight = cosine_weight
        self.scale = scale
        self.distances = distances_config(distances)
        self.decision = decision
        self.pooling = pooling
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.layer_norm = layer_norm
        self._initial_level_weights = None if level_weights is None else tuple(level_weights)
        self.level_weights = self._level_weights_variable()
        self.default_loss()  # which checks its arguments
        self._costs = self.hierarchy.distances(self.distances).astype("float32")
        self.design = self._make_design(data_format)
        self.data_format = self.design.data_format

    def default_loss(self) -> keras.losses.Loss:
        """Returns the loss; with `loss="coarse_to_fine"` it reads this head's level weights."""
        options = {
            "coarse_weight": self.coarse_weight,
            "groups": self.groups,
            "alpha": self.alpha,
            "beta": self.beta,
            "level_weights": self.level_weights,
            "gamma": self.gamma,
            "cosine_weight": self.cosine_weight,
            "scale": self.scale,
        }
        given = {name: value for name, value in options.items() if value is not None}
        known = signature(LOSSES[self.loss]).parameters
        unused = sorted(given.keys() - known.keys())
        if unused:
            raise ValueError(
                f'Expected no argument that loss="{self.loss}" has no use for. '
                f"Received: {', '.join(f'{name}={given[name]!r}' for name in unused)}"
            )
        if "distances" in known:
            given["distances"] = self.distances
        return MaskedLoss(LOSSES[self.loss](self.hierarchy, **given))

    def default_metrics(self) -> list[keras.metrics.Metric]:
        tree, options = self.hierarchy, {"decision": self.decision, "distances": self.distances}
        levels = [tree.depth, *range(1, tree.depth)]
        metrics = [LevelAccuracy(tree, level, **options) for level in levels]
        return [MaskedMetric(metric) for metric in [*metrics, MistakeSeverity(tree, **options)]]

    @property
    def primary_metric(self) -> tuple[str, str]:
        """The accuracy of the classes, to be maximised."""
        return "accuracy", "max"

    def decode_tensors(self, outputs: Any) -> dict[str, Any]:
        """Turns logits into classes and groups.

        Args:
            outputs: Logits, as the head returns them.

        Returns:
            `"label"`, the class, int32 of shape `(samples,)`; `"probability"` of all
            classes, float32 of shape `(samples, K)`; for each coarser level `"level_1"`,
            `"level_2"`, ... the number of the node; and `"node_probability"` of all nodes,
            float32 of shape `(samples, N)`. With `decision="likeliest"` each level has its
            likeliest node, with `"least_cost"` the one that the class is in.
        """
        tree = self.hierarchy
        nodes = {
            level: decided_nodes(tree, outputs, level, self.decision, self._costs)
            for level in range(1, tree.depth + 1)
        }
        label = nodes.pop(tree.depth)
        return {
            "label": label,
            "probability": ops.exp(leaf_log_probabilities(tree, outputs)),
            **{f"level_{level}": found for level, found in nodes.items()},
            "node_probability": ops.exp(node_log_probabilities(tree, outputs)),
        }

    def predictions(self, outputs: Any) -> Any:
        """Returns the probabilities of the classes, of shape `(batch, K)`."""
        return ops.exp(leaf_log_probabilities(self.hierarchy, outputs))

    def validate_labels(self, y: Any, task: str | None = None) -> None:
        tree = self.hierarchy
        try:
            check_classes(y, tree.num_nodes, task or self.name)
        except ValueError as error:
            raise ValueError(
                f"{error}. (Labels are the classes 0...{tree.num_leaves - 1} of the hierarchy, "
                f"or groups, which are numbered from {tree.num_leaves} on)"
            ) from error

    @classmethod
    def search_space(cls) -> dict[str, Any]:
        return {
            "loss": Choice(list(LOSSES)),
            "coarse_weight": When("loss", "marginal", Float(0.1, 1.0)),
            "alpha": When("loss", "hxe", Float(0.1, 0.6)),
            "beta": When("loss", "soft_labels", Float(4.0, 30.0)),
            "gamma": When("loss", "frame", Float(1.0, 4.0)),
            "cosine_weight": When("loss", "frame", Float(0.1, 0.9)),
            "decision": Choice(list(DECISIONS)),
            "pooling": Choice(["average", "max", "flatten", "attention"]),
            "hidden_units": Choice([0, 64, 128, 256]),
            "dropout": Float(0.0, 0.5),
            "layer_norm": Boolean(),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hierarchy": self.hierarchy.get_config(),
            "loss": self.loss,
            "coarse_weight": self.coarse_weight,
            "groups": self.groups,
            "alpha": self.alpha,
            "beta": self.beta,
            "level_weights": self._initial_level_weights,
            "gamma": self.gamma,
            "cosine_weight": self.cosine_weight,
            "scale": self.scale,
            "distances": self.distances,
            "decision": self.decision,
            "pooling": self.pooling,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "layer_norm": self.layer_norm,
            "data_format": self.data_format,
        }

    def _level_weights_variable(self) -> Any:
        given = self._initial_level_weights
        if self.loss != "coarse_to_fine":
            return given  # for the check that there is none
        weights = checked_level_weights(given, self.hierarchy.depth)
        return self.add_weight(
            name="level_weights",
            shape=(self.hierarchy.depth,),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(weights, dtype),
            dtype="float32",
            trainable=False,
        )

    def _make_design(self, data_format: str | None) -> Design:
        tree = self.hierarchy
        options: dict[str, Any] = {
            "pooling": self.pooling,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "layer_norm": self.layer_norm,
            "data_format": data_format,
            "dtype": self.dtype_policy,
            "name": "design",
        }
        if self.loss == "coarse_to_fine":
            return CoarseToFineDesign(tree, **options)
        if self.loss == "frame":
            frame = {"gamma": self.gamma, "scale": self.scale, "distances": self.distances}
            given = {name: value for name, value in frame.items() if value is not None}
            return FrameDesign(tree, **given, **options)
        return PooledDesign(
            tree.num_nodes if LOSSES[self.loss].of_nodes else tree.num_leaves, **options
        )
