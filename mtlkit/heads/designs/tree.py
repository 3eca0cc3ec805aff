"""Coarse levels read from early maps, fine levels from late ones."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.heads.designs.design import Design
from mtlkit.heads.designs.pooled import PooledDesign
from mtlkit.hierarchy._forms import as_hierarchy


@keras.saving.register_keras_serializable(package="mtlkit")
class CoarseToFineDesign(Design):
    """Reads each level of a hierarchy with a branch of its own, from a map of its own.

    Called on a list of maps, coarsest level first, it reads the nodes of level `l` from map
    `l`; called on a single map it reads all levels from it. A branch is a `PooledDesign`.

    Args:
        hierarchy: A `mtlkit.Hierarchy`, its configuration, or groups as a dict.
        pooling: How maps become vectors, see `mtlkit.layers.FeaturePooling`.
        hidden_units: Width of each branch's hidden layer; 0 for none.
        dropout: Rate of dropout before the last layers.
        layer_norm: Whether to normalise the pooled vectors of each sample.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        A map as in `mtlkit.layers.FeaturePooling`, or a list of one for each level.

    Output shape:
        `(batch, N)`, float32: a logit for each node, in the order of the hierarchy.

    Raises:
        ValueError: When built on a list that has not one map for each level.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.designs.tree import CoarseToFineDesign
        from mtlkit.hierarchy import Hierarchy

        design = CoarseToFineDesign(Hierarchy.circular(8, 2))
        early, late = np.ones((2, 8, 8, 3), "float32"), np.ones((2, 4, 4, 6), "float32")
        assert design([early, late]).shape == (2, 10)
        ```

    Reference:
        [Zhu and Bain, B-CNN: Branch Convolutional Neural Network for Hierarchical
        Classification, 2017](https://arxiv.org/abs/1709.09890)
    """

    reads_mask = True

    def __init__(
        self,
        hierarchy: Any,
        pooling: str = "average",
        hidden_units: int = 128,
        dropout: float = 0.0,
        layer_norm: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        hierarchy = as_hierarchy(hierarchy)
        super().__init__(hierarchy.num_nodes, **kwargs)
        self.hierarchy = hierarchy
        nodes = [np.flatnonzero(hierarchy.depths == 1 + level) for level in range(hierarchy.depth)]
        #: Where each node's logit is among those of the branches.
        self._order: np.ndarray = np.argsort(np.concatenate(nodes)).astype("int32")
        self.branches = [
            PooledDesign(
                len(of_level),
                pooling=pooling,
                hidden_units=hidden_units,
                dropout=dropout,
                layer_norm=layer_norm,
                data_format=data_format,
                dtype=self.dtype_policy,
                name=f"level_{1 + level}",
            )
            for level, of_level in enumerate(nodes)
        ]
        self.data_format = self.branches[0].data_format
        self._widths: list[int] = []

    def build_features(self, input_shape: Any) -> tuple[int | None, ...]:
        shapes = [
            branch.build_features(shape)
            for branch, shape in zip(self.branches, self._of_levels(input_shape), strict=True)
        ]
        self._widths = [math.prod(size or 1 for size in shape[1:]) for shape in shapes]
        return shapes[0][0], sum(self._widths)

    def features(self, inputs: Any, mask: Any = None) -> Any:
        maps = inputs if isinstance(inputs, list | tuple) else [inputs] * len(self.branches)
        masks = mask if isinstance(mask, list | tuple) else [mask] * len(self.branches)
        vectors = [
            branch.features(x, mask=own)
            for branch, x, own in zip(self.branches, maps, masks, strict=True)
        ]
        return ops.concatenate(vectors, axis=-1)

    def build_read(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] != sum(self._widths):
            raise ValueError(
                "Expected a conditioning that keeps the number of features, since each level "
                f"reads its own. Received: {type(self.conditioning).__name__}, which makes "
                f"{input_shape[-1]} of {sum(self._widths)}"
            )
        for branch, width in zip(self.branches, self._widths, strict=True):
            branch.build_read((input_shape[0], width))
            branch.built = True

    def read(self, features: Any) -> Any:
        ends = np.cumsum(self._widths)
        parts = [
            features[:, end - width : end] for end, width in zip(ends, self._widths, strict=True)
        ]
        logits = [branch.read(part) for branch, part in zip(self.branches, parts, strict=True)]
        return ops.take(ops.concatenate(logits, axis=-1), self._order, axis=1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        map_shape = input_shape if self.conditioning is None else input_shape[0]
        return self._of_levels(map_shape)[0][0], self.units

    def _of_levels(self, input_shape: Any) -> list[Any]:
        """The shapes of the maps of the levels."""
        if not isinstance(input_shape[0], list | tuple):
            return [input_shape] * len(self.branches)
        if len(input_shape) != len(self.branches):
            raise ValueError(
                f"Expected one map, or one for each of the {len(self.branches)} levels of the "
                f"hierarchy. Received: {len(input_shape)} maps of shapes {input_shape}"
            )
        return list(input_shape)

    def get_config(self) -> dict[str, Any]:
        branch = self.branches[0]
        return {
            **super().get_config(),
            "hierarchy": self.hierarchy.get_config(),
            "pooling": branch.pooling,
            "hidden_units": branch.hidden_units,
            "dropout": branch.dropout,
            "layer_norm": branch.layer_norm,
            "data_format": self.data_format,
        }
