"""Low-rank products of the features and the condition."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit._counts import check_count
from mtlkit.layers.conditioning._shapes import check_shapes, over_positions


@keras.saving.register_keras_serializable(package="mtlkit")
class BilinearConditioning(keras.layers.Layer):
    """Adds products of the features and the condition: experts that share their maps.

    With features `z` and a condition `p`, the output is `z + P ((U z) * (V p))`, with the same
    `U`, `V` and `P` at all positions, and `rank` numbers on either side of the product. A class
    chooses a mixture of `rank` maps that all classes share, where
    `mtlkit.layers.conditioning.ExpertMixtureConditioning` learns a map of its own for each: so it
    has `rank * (2 * channels + n)` weights, and what one class learns helps the others. `P` starts
    at zero: until it has learnt something the layer is the identity, exactly.

    Args:
        rank: Number of products.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `[(batch, ..., channels), (batch, n)]`: channels last, with any number of axes in the
        middle, and the condition, such as the probabilities that another task predicts.

    Output shape:
        `(batch, ..., channels)`.

    Raises:
        ValueError: If `rank < 1`, or the inputs are not of such shapes.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.layers.conditioning import BilinearConditioning

        rng = np.random.default_rng(0)
        features = rng.normal(size=(2, 64, 8)).astype("float32")
        probabilities = rng.dirichlet(np.ones(10), size=2).astype("float32")
        outputs = ops.convert_to_numpy(BilinearConditioning(rank=4)([features, probabilities]))
        assert np.array_equal(outputs, features)  # at the start
        ```

    Reference:
        [Kim et al., Hadamard Product for Low-rank Bilinear Pooling,
        2017](https://arxiv.org/abs/1610.04325)
    """

    def __init__(self, rank: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_count("rank", rank, 1)
        self.rank = rank

    def build(self, input_shape: Any) -> None:
        features, condition = check_shapes(input_shape)
        channels = features[-1]
        self.of_features = self.add_weight(name="of_features", shape=(channels, self.rank))
        # Of unit size, whatever the number of classes: a certain prediction chooses one row.
        self.of_condition = self.add_weight(
            name="of_condition",
            shape=(condition[-1], self.rank),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        self.to_features = self.add_weight(
            name="to_features", shape=(self.rank, channels), initializer="zeros"
        )

    def call(self, inputs: Any) -> Any:
        features, condition = inputs
        code = over_positions(ops.matmul(condition, self.of_condition), len(features.shape))
        product = ops.matmul(features, self.of_features) * code
        return features + ops.matmul(product, self.to_features)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rank": self.rank}
