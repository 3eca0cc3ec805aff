"""The condition as further channels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers.conditioning._shapes import check_shapes, over_positions


@keras.saving.register_keras_serializable(package="mtlkit")
class ConcatConditioning(keras.layers.Layer):
    """Appends the condition to the channels of the features, at every position.

    The output is `[z; p]`. The layer has no weights: what follows learns what to make of the
    further channels. The arguments of the constructor are those of `keras.layers.Layer`.

    Input shape:
        `[(batch, ..., channels), (batch, n)]`: channels last, with any number of axes in the
        middle, and the condition, such as the probabilities that another task predicts.

    Output shape:
        `(batch, ..., channels + n)`.

    Raises:
        ValueError: If the inputs are not of such shapes.

    Example:
        ```python
        import numpy as np
        from mtlkit.layers.conditioning import ConcatConditioning

        features = np.ones((2, 64, 8), "float32")
        probabilities = np.full((2, 10), 0.1, "float32")
        assert ConcatConditioning()([features, probabilities]).shape == (2, 64, 18)
        ```

    Reference:
        [Read et al., Classifier chains for multi-label classification,
        2011](https://doi.org/10.1007/s10994-011-5256-5)
    """

    def build(self, input_shape: Any) -> None:
        check_shapes(input_shape)

    def call(self, inputs: Any) -> Any:
        features, condition = inputs
        everywhere = over_positions(condition, len(features.shape))
        if len(features.shape) > 2:
            # A product, and no broadcast to a shape that may be known in part only.
            everywhere = everywhere * ops.ones_like(features[..., :1])
        return ops.concatenate([features, everywhere], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        features, condition = check_shapes(input_shape)
        return (*features[:-1], (features[-1] or 0) + (condition[-1] or 0))
