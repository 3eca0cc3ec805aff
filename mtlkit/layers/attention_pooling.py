"""Pooling of a feature map by learned attention."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from mtlkit.layers._sizes import size_cure


@keras.saving.register_keras_serializable(package="mtlkit")
class AttentionPooling(keras.layers.Layer):
    """Pools positions by learned queries: each query looks where it has learnt to.

    With features `x` of shape `(positions, channels)`, keys `K = x W + P` (`P` a learned
    embedding of the position) and learned queries `Q`, the output of each query is
    `softmax(Q K^T / sqrt(key_dim)) x`. Zero queries give the mean over positions. Without
    `P` the result would not depend on where things are. A Keras mask of positions is respected:
    those that it leaves out are not looked at.

    Args:
        num_queries: Number of learned queries.
        key_dim: Dimension of queries and keys.
        use_position: Whether keys hold a learned embedding of their position.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, positions, channels)`.

    Output shape:
        `(batch, num_queries * channels)`.

    Raises:
        ValueError: If a count is not positive, or the input's size is unknown.

    Example:
        ```python
        import numpy as np
        from mtlkit.layers import AttentionPooling

        pooled = AttentionPooling(num_queries=4)(np.ones((2, 64, 8), "float32"))
        assert pooled.shape == (2, 32)
        ```

    Reference:
        [Lee et al., Set Transformer, 2019](https://arxiv.org/abs/1810.00825)
    """

    def __init__(
        self,
        num_queries: int = 4,
        key_dim: int = 32,
        use_position: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        for argument, value in (("num_queries", num_queries), ("key_dim", key_dim)):
            if value < 1:
                raise ValueError(f"Expected {argument} >= 1. Received: {argument}={value}")
        self.num_queries = num_queries
        self.key_dim = key_dim
        self.use_position = use_position
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        _, positions, channels = input_shape
        if positions is None or channels is None:
            raise ValueError(
                "Expected a known number of positions and channels. "
                f"Received: input_shape={tuple(input_shape)}. "
                f"{size_cure(input_shape)}"
            )
        self.key_kernel = self.add_weight(
            name="key_kernel", shape=(channels, self.key_dim), initializer="glorot_uniform"
        )
        self.queries = self.add_weight(
            name="queries", shape=(self.num_queries, self.key_dim), initializer="glorot_uniform"
        )
        if self.use_position:
            self.position = self.add_weight(
                name="position",
                shape=(positions, self.key_dim),
                initializer=keras.initializers.RandomNormal(stddev=0.02),
            )

    def call(self, inputs: Any, mask: Any = None) -> Any:
        keys = ops.matmul(inputs, self.key_kernel)
        if self.use_position:
            keys = keys + self.position
        scores = ops.matmul(keys, ops.transpose(self.queries)) / math.sqrt(self.key_dim)
        if mask is not None:
            is_position = ops.cast(mask, "bool")[..., None]
            scores = ops.where(is_position, scores, ops.full_like(scores, -3e4))
        attention = ops.softmax(scores, axis=1)  # (batch, positions, queries)
        if mask is not None:  # exactly none, also where there is no position at all
            attention = ops.where(is_position, attention, ops.zeros_like(attention))
        pooled = ops.matmul(ops.transpose(attention, (0, 2, 1)), inputs)
        return ops.reshape(pooled, (-1, self.num_queries * inputs.shape[-1]))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None  # there are no positions any more

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, _, channels = input_shape
        return batch, None if channels is None else self.num_queries * channels

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_queries": self.num_queries,
            "key_dim": self.key_dim,
            "use_position": self.use_position,
        }
