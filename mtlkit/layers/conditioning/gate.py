"""Channels that the condition turns up or down."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers.conditioning._shapes import check_shapes, over_positions


@keras.saving.register_keras_serializable(package="mtlkit")
class GatedConditioning(keras.layers.Layer):
    """Multiplies each channel of the features by a gate between 0 and 2.

    With features `z` and a condition `p`, the output is `2 * sigmoid(V p) * z`, with one gate
    a channel, the same at all positions. `V` starts at zero, where all gates are 1: until it
    has learnt something the layer is the identity, exactly.

    The arguments of the constructor are those of `keras.layers.Layer`.

    Input shape:
        `[(batch, ..., channels), (batch, n)]`: channels last, with any number of axes in the
        middle, and the condition, such as the probabilities that another task predicts.

    Output shape:
        `(batch, ..., channels)`.

    Raises:
        ValueError: If the inputs are not of such shapes.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.layers.conditioning import GatedConditioning

        rng = np.random.default_rng(0)
        features = rng.normal(size=(2, 64, 8)).astype("float32")
        probabilities = rng.dirichlet(np.ones(10), size=2).astype("float32")
        outputs = ops.convert_to_numpy(GatedConditioning()([features, probabilities]))
        assert np.array_equal(outputs, features)  # at the start
        ```

    Reference:
        [Swietojanski et al., Learning Hidden Unit Contributions for Unsupervised Acoustic
        Model Adaptation, 2016](https://arxiv.org/abs/1601.02828), whose gate this is, there
        by speaker in the place of the condition
    """

    def build(self, input_shape: Any) -> None:
        features, condition = check_shapes(input_shape)
        self.projection = keras.layers.Dense(
            features[-1],
            use_bias=False,
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name="projection",
        )
        self.projection.build(condition)

    def call(self, inputs: Any) -> Any:
        features, condition = inputs
        gate = 2 * ops.sigmoid(self.projection(condition))
        return over_positions(gate, len(features.shape)) * features

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape[0])
