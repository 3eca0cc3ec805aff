"""What a task takes of shared features, by a soft mask."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers._channels import channel_axis
from mtlkit.layers._data_format import standardize_data_format


@keras.saving.register_keras_serializable(package="mtlkit")
class TaskAttention(keras.layers.Layer):
    """Multiplies shared features by a mask that the task computes from a context.

    With features `z` and a context `u`, the output is `a * z` with the mask
    `a = sigmoid(W_2 relu(W_1 u + b_1) + b_2)`, one number between 0 and 1 for each position
    and channel. The same `W`, as wide as the features have channels, serve all positions
    (they are 1x1 convolutions).

    Args:
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `[features, context]`: `(batch, ..., channels)` and `(batch, ..., context_channels)`,
        or both with channels first, for the same positions.

    Output shape:
        That of the features.

    Raises:
        ValueError: If the inputs are not of such shapes.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.layers.task_attention import TaskAttention

        features, context = np.ones((2, 8, 8, 4), "float32"), np.ones((2, 8, 8, 6), "float32")
        layer = TaskAttention(data_format="channels_last")
        masked = ops.convert_to_numpy(layer([features, context]))
        assert masked.shape == (2, 8, 8, 4) and masked.max() < 1
        ```

    Reference:
        [Liu et al., End-to-End Multi-Task Learning with Attention,
        2019](https://arxiv.org/abs/1803.10704)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)

    def build(self, input_shape: Any) -> None:
        features, context = self._check(input_shape)
        axis = channel_axis(len(features), self.data_format)
        channels = features[axis]
        policy = self.dtype_policy
        self.hidden = keras.layers.Dense(channels, activation="relu", dtype=policy, name="hidden")
        self.mask = keras.layers.Dense(channels, activation="sigmoid", dtype=policy, name="mask")
        self.hidden.build((None, context[axis]))
        self.mask.build((None, channels))

    def attention(self, context: Any) -> Any:
        """Returns the mask.

        Args:
            context: The second of the layer's inputs.

        Returns:
            A tensor of the shape of the features, of numbers between 0 and 1.
        """
        axis = channel_axis(len(context.shape), self.data_format)
        mask = self.mask(self.hidden(ops.moveaxis(context, axis, -1)))
        return ops.moveaxis(mask, -1, axis)

    def call(self, inputs: Any) -> Any:
        features, context = inputs
        return self.attention(context) * features

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}

    def _check(self, input_shape: Any) -> list[tuple[Any, ...]]:
        shapes = [tuple(s) if isinstance(s, list | tuple) else () for s in input_shape]
        ranks = {len(shape) for shape in shapes}
        if len(shapes) != 2 or len(ranks) != 1 or min(ranks) < 2:
            raise ValueError(
                "Expected [features, context], with the same number of axes, at least two. "
                f"Received: input_shape={input_shape}"
            )
        axis = channel_axis(len(shapes[0]), self.data_format)
        features, context = ((*shape[1:axis], *shape[axis + 1 :]) for shape in shapes)
        if features != context or None in (shapes[0][axis], shapes[1][axis]):
            raise ValueError(
                "Expected features and context for the same positions, with known numbers of "
                f"channels. Received: shapes {shapes[0]} and {shapes[1]} ({self.data_format})"
            )
        return shapes
