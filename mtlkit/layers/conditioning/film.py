"""Feature-wise linear modulation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers.conditioning._shapes import check_shapes, over_positions


@keras.saving.register_keras_serializable(package="mtlkit")
class FiLM(keras.layers.Layer):
    """Scales and shifts each channel of the features, as the condition says.

    With features `z` and a condition `p`, the output is `(1 + g(p)) * z + b(p)`, where `g` and
    `b` are affine and give one number a channel, the same at all positions. Both start at
    zero: until it has learnt something the layer is the identity, exactly.

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
        from mtlkit.layers.conditioning import FiLM

        rng = np.random.default_rng(0)
        features = rng.normal(size=(2, 64, 8)).astype("float32")
        probabilities = rng.dirichlet(np.ones(10), size=2).astype("float32")
        outputs = ops.convert_to_numpy(FiLM()([features, probabilities]))
        assert np.array_equal(outputs, features)  # at the start
        ```

    Reference:
        [Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer,
        2018](https://arxiv.org/abs/1709.07871)
    """

    def build(self, input_shape: Any) -> None:
        features, condition = check_shapes(input_shape)
        self.projection = keras.layers.Dense(
            2 * (features[-1] or 0),
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name="projection",
        )
        self.projection.build(condition)

    def call(self, inputs: Any) -> Any:
        features, condition = inputs
        modulation = over_positions(self.projection(condition), len(features.shape))
        scale, shift = ops.split(modulation, 2, axis=-1)
        return (1 + scale) * features + shift

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape[0])
