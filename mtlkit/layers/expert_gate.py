"""The gate of a mixture of experts."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers.feature_pooling import FeaturePooling


@keras.saving.register_keras_serializable(package="mtlkit")
class ExpertGate(keras.layers.Layer):
    """Mixes the outputs of experts by a softmax gate that reads the input.

    With the input `x` and the experts' outputs `e_1, ..., e_n`, the output is
    `sum_k g_k e_k` with `g = softmax(W pool(x) + b)`, where `pool` averages maps over their
    positions. So each sample has its own mixture, the same at all positions. Any layers may
    be the experts; several gates, one a task, may mix the same ones.

    Args:
        data_format: `"channels_last"` or `"channels_first"`, of the input. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `[x, e_1, ..., e_n]`: the input, a vector or map as in `mtlkit.layers.FeaturePooling`,
        and the outputs of at least two experts, `(batch, ...)`, all of one shape.

    Output shape:
        That of one expert's output.

    Raises:
        ValueError: If there are fewer than two experts, or their outputs differ in shape.

    Example:
        ```python
        import keras
        from mtlkit.layers.expert_gate import ExpertGate

        x = keras.Input((20,))
        experts = [keras.layers.Dense(8, activation="relu")(x) for _ in range(4)]
        model = keras.Model(x, {task: ExpertGate()([x, *experts]) for task in ("a", "b")})
        assert model.output["a"].shape == model.output["b"].shape == (None, 8)
        ```

    Reference:
        [Jacobs et al., Adaptive Mixtures of Local Experts,
        1991](https://doi.org/10.1162/neco.1991.3.1.79); [Ma et al., Modeling Task
        Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts,
        2018](https://doi.org/10.1145/3219819.3220007)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.pool = FeaturePooling(
            "average", self.data_format, dtype=self.dtype_policy, name="pool"
        )

    def build(self, input_shape: Any) -> None:
        shapes = [tuple(s) if isinstance(s, list | tuple) else () for s in input_shape]
        if len(shapes) < 3 or len(shapes[0]) < 2 or any(s[1:] != shapes[1][1:] for s in shapes[2:]):
            raise ValueError(
                "Expected [x, expert_1, ...]: an input, and at least two outputs of experts, all "
                f"of one shape. Received: input_shape={input_shape}"
            )
        if not self.pool.built:
            self.pool.build(shapes[0])
        self.projection = keras.layers.Dense(
            len(shapes) - 1, activation="softmax", dtype=self.dtype_policy, name="projection"
        )
        self.projection.build(self.pool.compute_output_shape(shapes[0]))

    def probabilities(self, x: Any) -> Any:
        """Returns the shares of the experts.

        Args:
            x: The input that the gate reads, the first of the layer's inputs.

        Returns:
            A tensor of shape `(batch, experts)`, whose rows sum to one.
        """
        return self.projection(self.pool(x))

    def call(self, inputs: Any) -> Any:
        x, *experts = inputs
        shares = self.probabilities(x)
        one_sample = [1] * (len(experts[0].shape) - 1)
        mixture = [
            ops.reshape(shares[:, number], (-1, *one_sample)) * expert
            for number, expert in enumerate(experts)
        ]
        return sum(mixture[1:], mixture[0])

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape[1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}
