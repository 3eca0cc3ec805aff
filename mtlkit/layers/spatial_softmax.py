"""Where each channel of a map is active, as coordinates."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.layers._sizes import size_cure
from mtlkit.layers.coordinates import pixel_coordinates


@keras.saving.register_keras_serializable(package="mtlkit")
class SpatialSoftmax(keras.layers.Layer):
    """The expected position and value of each channel under a softmax over its positions.

    With `p = softmax(u / T)` over the positions of a channel `u`, its outputs are
    `sum p x`, `sum p y` and `sum p u`; positions run from -1 (left, top) to 1 (right,
    bottom). Also known as soft-argmax. The temperature `T > 0` of each channel is learnt.

    Args:
        temperature: Temperature at the start.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, 3 * channels)`: all `x`, all `y`, all values.

    Raises:
        ValueError: If the temperature is not positive, or the map's size unknown or another
            than the layer was built for.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.layers import SpatialSoftmax

        maps = np.zeros((1, 5, 5, 1), "float32")
        maps[0, 0, 4, 0] = 100.0  # top right
        position = ops.convert_to_numpy(SpatialSoftmax()(maps))[0, :2]
        assert np.allclose(position, [1, -1], atol=1e-3)
        ```

    Reference:
        [Levine et al., End-to-End Training of Deep Visuomotor Policies,
        2016](https://arxiv.org/abs/1504.00702)
    """

    def __init__(self, temperature: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if temperature <= 0:
            raise ValueError(f"Expected temperature > 0. Received: temperature={temperature}")
        self.temperature = temperature
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        _, height, width, channels = input_shape
        if height is None or width is None or channels is None:
            raise ValueError(
                f"Expected a map of known size. Received: input_shape={tuple(input_shape)}. "
                f"{size_cure(input_shape)}"
            )
        # The positions below are those of this size: another one might be misread in silence.
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={1: height, 2: width})
        x, y = pixel_coordinates(height, width)
        self._positions = np.stack([x.ravel(), y.ravel()]).astype("float32")
        self.log_temperature = self.add_weight(
            name="log_temperature",
            shape=(channels,),
            initializer=keras.initializers.Constant(math.log(self.temperature)),
        )

    def call(self, inputs: Any) -> Any:
        _, height, width, channels = inputs.shape
        u = ops.reshape(inputs, (-1, height * width, channels))
        p = ops.softmax(u / ops.exp(self.log_temperature), axis=1)
        positions = ops.cast(self._positions, p.dtype)
        where = ops.reshape(ops.matmul(positions, p), (-1, 2 * channels))
        return ops.concatenate([where, ops.sum(p * u, axis=1)], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, _, _, channels = input_shape
        return batch, None if channels is None else 3 * channels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
