"""One affine map for each class that the condition may name."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers.conditioning._shapes import check_shapes, over_positions


@keras.saving.register_keras_serializable(package="mtlkit")
class ExpertMixtureConditioning(keras.layers.Layer):
    """Mixes experts, one for each entry of the condition, by what the condition says.

    With features `z` and a condition `p`, the output is `z + sum_a p_a (W_a z + b_a)`, with
    the same experts at all positions. So with probabilities, expert `a` is the affine map
    `(I + W_a) z + b_a`: a certain prediction (one-hot `p`) selects the expert of its class,
    a uniform one gives the mean expert. All `W_a` and `b_a` start at zero: until it has
    learnt something the layer is the identity, exactly.

    It has `n * channels * (channels + 1)` weights; keep the channels few where `n` is large.
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
        from mtlkit.layers.conditioning import ExpertMixtureConditioning

        features = np.ones((3, 64, 8), "float32")
        layer = ExpertMixtureConditioning()
        layer.build([(None, 64, 8), (None, 3)])
        layer.bias.assign(np.outer([1.0, 2.0, 3.0], np.ones(8)))
        outputs = ops.convert_to_numpy(layer([features, np.eye(3, dtype="float32")]))
        assert np.array_equal(outputs[1], np.full((64, 8), 3.0))
        ```

    Reference:
        [Jacobs et al., Adaptive Mixtures of Local Experts,
        1991](https://doi.org/10.1162/neco.1991.3.1.79); the kernels are mixed before they are
        applied, as in [Yang et al., CondConv, 2019](https://arxiv.org/abs/1904.04971)
    """

    def build(self, input_shape: Any) -> None:
        features, condition = check_shapes(input_shape)
        experts, channels = condition[-1], features[-1]
        self.kernel = self.add_weight(
            name="kernel", shape=(experts, channels, channels), initializer="zeros"
        )
        self.bias = self.add_weight(name="bias", shape=(experts, channels), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        features, condition = inputs
        rank = len(features.shape)
        # A vector is a map of one position.
        z = ops.expand_dims(features, 1) if rank == 2 else features
        experts, channels = self.bias.shape
        kernel = ops.matmul(condition, ops.reshape(self.kernel, (experts, channels * channels)))
        # One kernel a sample, the same along all axes in the middle but the last, which is
        # that of the rows of the product.
        ones = [1] * (len(z.shape) - 3)
        change = ops.matmul(z, ops.reshape(kernel, (-1, *ones, channels, channels)))
        change = ops.squeeze(change, 1) if rank == 2 else change
        return features + change + over_positions(ops.matmul(condition, self.bias), rank)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape[0])
