"""A fixed frame of directions in the place of the last layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from mtlkit.heads.designs.design import Design
from mtlkit.heads.designs.pooled import PooledDesign
from mtlkit.hierarchy._forms import as_hierarchy
from mtlkit.hierarchy.frames import frame, frame_similarity
from mtlkit.losses.hierarchical._base import distances_config


@keras.saving.register_keras_serializable(package="mtlkit")
class FrameDesign(Design):
    """Compares a feature with fixed directions of the classes.

    The map becomes a vector `h` with one number for each class, as in `PooledDesign`.
    Logits are `scale cos(h, w_k)`, where the directions `w_k` are fixed: their cosines
    follow the distances of classes, see `mtlkit.hierarchy.frames`. Use
    `mtlkit.losses.hierarchical.FrameCrossEntropy` with the same distances, `gamma` and
    `scale`.

    Args:
        hierarchy: A `mtlkit.Hierarchy`, its configuration, or groups as a dict.
        distances: `"tree"`, `"circular"`, or a matrix, see `mtlkit.Hierarchy.distances`.
        gamma: How fast similarity falls with distance; positive.
        scale: What logits are, in cosines; positive.
        pooling: How the map becomes a vector, see `mtlkit.layers.FeaturePooling`.
        hidden_units: Width of the hidden layer; 0 for none.
        dropout: Rate of dropout before the last layer.
        layer_norm: Whether to normalise the pooled vector of each sample.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, channels)`, or a map as in `mtlkit.layers.FeaturePooling`.

    Output shape:
        `(batch, K)`, float32, in `[-scale, scale]`.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.designs.frame import FrameDesign
        from mtlkit.hierarchy import Hierarchy

        design = FrameDesign(Hierarchy.circular(8, 4), distances="circular")
        assert design(np.ones((2, 4, 4, 3), "float32")).shape == (2, 8)
        ```

    Reference:
        [Liang and Davis, Inducing Neural Collapse to a Fixed Hierarchy-Aware Frame for
        Reducing Mistake Severity, 2023](https://arxiv.org/abs/2303.05689)
    """

    reads_mask = True

    def __init__(
        self,
        hierarchy: Any,
        distances: str | ArrayLike = "tree",
        gamma: float = 2.0,
        scale: float = 16.0,
        pooling: str = "average",
        hidden_units: int = 128,
        dropout: float = 0.0,
        layer_norm: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        hierarchy = as_hierarchy(hierarchy)
        super().__init__(hierarchy.num_leaves, **kwargs)
        self.hierarchy = hierarchy
        self.distances = distances_config(distances)
        self.gamma = gamma
        self.scale = scale
        self.embedding = PooledDesign(
            self.units,
            pooling=pooling,
            hidden_units=hidden_units,
            dropout=dropout,
            layer_norm=layer_norm,
            data_format=data_format,
            dtype=self.dtype_policy,
            name="embedding",
        )
        self.data_format = self.embedding.data_format
        directions = frame(frame_similarity(hierarchy.distances(self.distances), gamma))
        self._directions: np.ndarray = directions.astype("float32")

    def build_features(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.embedding.build_features(input_shape)

    def features(self, inputs: Any, mask: Any = None) -> Any:
        return self.embedding.features(inputs, mask=mask)

    def build_read(self, input_shape: tuple[int | None, ...]) -> None:
        self.embedding.build_read(input_shape)
        self.embedding.built = True

    def read(self, features: Any) -> Any:
        embedding = ops.normalize(self.embedding.read(features), axis=-1)
        return self.scale * ops.matmul(embedding, self._directions)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hierarchy": self.hierarchy.get_config(),
            "distances": self.distances,
            "gamma": self.gamma,
            "scale": self.scale,
            "pooling": self.embedding.pooling,
            "hidden_units": self.embedding.hidden_units,
            "dropout": self.embedding.dropout,
            "layer_norm": self.embedding.layer_norm,
            "data_format": self.data_format,
        }
