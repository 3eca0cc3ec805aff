"""The preprocessing that networks of ImageNet were trained with."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.layers._channels import channel_axis
from mtlkit.layers._data_format import standardize_data_format

#: By mode: mean and standard deviation of each channel, in values of 0...255. The channels of
#: "caffe" are blue, green, red.
_STATISTICS: dict[str, tuple[Any, Any]] = {
    "caffe": ([103.939, 116.779, 123.68], 1.0),
    "tf": (127.5, 127.5),
    "torch": (255 * np.array([0.485, 0.456, 0.406]), 255 * np.array([0.229, 0.224, 0.225])),
}
MODES = tuple(_STATISTICS)


@keras.saving.register_keras_serializable(package="mtlkit")
class ImageNetPreprocessing(keras.layers.Layer):
    """Turns images of 0...255 into what networks of `keras.applications` expect.

    It computes what `keras.applications.*.preprocess_input` does, as a layer, so that it is
    saved and exported with the model:

    - `"caffe"`: channels in the order blue, green, red, minus their means on ImageNet.
    - `"tf"`: values in [-1, 1], `x / 127.5 - 1`, whatever the number of channels.
    - `"torch"`: `(x / 255 - mean) / std` with the channels' statistics on ImageNet.

    Args:
        mode: One of these.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`: red, green
        and blue, in 0...255.

    Output shape:
        That of the input.

    Raises:
        ValueError: If the mode is not one of these, or the images have not three channels.

    Example:
        ```python
        import numpy as np
        from mtlkit.layers import ImageNetPreprocessing

        white = np.full((1, 2, 2, 3), 255, "uint8")
        layer = ImageNetPreprocessing("tf", data_format="channels_last")
        assert np.allclose(layer(white), 1)
        ```
    """

    def __init__(self, mode: str, data_format: str | None = None, **kwargs: Any) -> None:
        # Not in half precision: 255 levels need the digits.
        super().__init__(autocast=False, **kwargs)
        if mode not in _STATISTICS:
            raise ValueError(f"Expected mode to be one of {MODES}. Received: mode={mode!r}")
        self.mode = mode
        self.data_format = standardize_data_format(data_format)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[self._axis(len(input_shape))]
        if self.mode != "tf" and channels != 3:
            raise ValueError(
                f'Expected images of three channels for mode="{self.mode}", which has statistics '
                f"of red, green and blue. Received: input_shape={tuple(input_shape)} "
                f"({self.data_format})"
            )

    def call(self, inputs: Any) -> Any:
        axis = self._axis(len(inputs.shape))
        x = ops.cast(inputs, "float32")
        if self.mode == "caffe":
            x = ops.flip(x, axis=axis)
        shape = [1] * len(inputs.shape)
        shape[axis] = -1
        mean, std = (
            ops.reshape(ops.convert_to_tensor(part, "float32"), shape)
            for part in _STATISTICS[self.mode]
        )
        return ops.cast((x - mean) / std, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode, "data_format": self.data_format}

    def _axis(self, rank: int) -> int:
        return channel_axis(rank, self.data_format)
