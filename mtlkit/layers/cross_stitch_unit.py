"""Learned exchange between the columns of a cross-stitch network."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.layers._channels import channel_axis
from mtlkit.layers._data_format import standardize_data_format


@keras.saving.register_keras_serializable(package="mtlkit")
class CrossStitchUnit(keras.layers.Layer):
    """Mixes the features of several columns, one a task, linearly.

    With features `x_1, ..., x_T`, output `t` is `sum_s alpha_ts x_s`. `alpha` is learned. It
    starts with `self_weight` for a column's own feature and equal shares of the rest for the
    others', so that each row sums to one. With `alpha = I` the columns are independent.

    Args:
        self_weight: The initial weight of a column's own feature.
        per_channel: Whether each channel has its own `alpha`.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        A list of at least two features of one shape, `(batch, ..., channels)`, or
        `(batch, channels, height, width)`.

    Output shape:
        A list of as many, of the same shape.

    Raises:
        ValueError: If `self_weight` is not between 0 and 1, there are fewer than two
            features, or they differ in shape.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.layers.cross_stitch_unit import CrossStitchUnit

        zeros, ones = np.zeros((2, 3), "float32"), np.ones((2, 3), "float32")
        outputs = CrossStitchUnit(self_weight=0.9)([zeros, ones])
        first, second = map(ops.convert_to_numpy, outputs)
        assert np.allclose(first, 0.1) and np.allclose(second, 0.9)
        ```

    Reference:
        [Misra et al., Cross-stitch Networks for Multi-task Learning,
        2016](https://arxiv.org/abs/1604.03539)
    """

    def __init__(
        self,
        self_weight: float = 0.9,
        per_channel: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= self_weight <= 1:
            raise ValueError(
                f"Expected self_weight between 0 and 1. Received: self_weight={self_weight}"
            )
        self.self_weight = self_weight
        self.per_channel = per_channel
        self.data_format = standardize_data_format(data_format)

    def build(self, input_shape: Any) -> None:
        shapes = [tuple(s) if isinstance(s, list | tuple) else () for s in input_shape]
        if len(shapes) < 2 or len(shapes[0]) < 2 or any(s[1:] != shapes[0][1:] for s in shapes):
            raise ValueError(
                "Expected a list of at least two features of one shape, one a column. "
                f"Received: input_shape={input_shape}"
            )
        columns, channels = len(shapes), shapes[0][channel_axis(len(shapes[0]), self.data_format)]
        if self.per_channel and channels is None:
            raise ValueError(
                "Expected a known number of channels for per_channel=True. "
                f"Received: input_shape={input_shape}"
            )
        alpha = np.full((columns, columns), (1 - self.self_weight) / (columns - 1))
        np.fill_diagonal(alpha, self.self_weight)
        if self.per_channel:
            alpha = np.repeat(alpha[..., None], channels or 0, axis=-1)
        self.alpha = self.add_weight(
            name="alpha",
            shape=alpha.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(alpha, dtype),
        )

    def call(self, inputs: Any) -> Any:
        rank = len(inputs[0].shape)
        alpha = ops.convert_to_tensor(self.alpha)
        if self.per_channel:
            # Trailing axes of size 1 bring the channels to their place.
            ones = [1] * (rank - 1 - channel_axis(rank, self.data_format))
            alpha = ops.reshape(alpha, (*self.alpha.shape, *ones))
        columns = range(len(inputs))
        return [sum(alpha[t, s] * inputs[s] for s in columns) for t in columns]

    def compute_output_shape(self, input_shape: Any) -> list[tuple[int | None, ...]]:
        return [tuple(shape) for shape in input_shape]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "self_weight": self.self_weight,
            "per_channel": self.per_channel,
            "data_format": self.data_format,
        }
