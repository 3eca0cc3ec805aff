"""A small convolutional backbone with named feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mtlkit.backbones._batch_norm import batch_normalization
from mtlkit.backbones._staged import StagedBackbone
from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers.input_normalization import InputNormalization


@keras.saving.register_keras_serializable(package="mtlkit")
class ConvBackbone(StagedBackbone):
    """Stages of 3x3 convolution with ReLU, the map halved between stages.

    Its outputs are a dict of feature maps: `"input"` (the image, normalised), `"stage1"`,
    `"stage2"`, ... in this order.

    With `normalize=True` the image is standardised per channel with the statistics of the
    training images. They are set once, by `adapt(x)` or by the first `fit` of a
    `mtlkit.MultiTaskModel`, and saved. Leave it on: small networks on raw [0, 1] pixels
    can sit on a plateau for many epochs.

    Args:
        input_shape: Shape of an image, without the batch, in the data format. `None`: one
            channel of 32x32 pixels.
        filters: Channels of the stages.
        normalize: Whether to standardise the image.
        batch_norm: Whether to normalise each stage's batch, between convolution and ReLU.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        dtype: Dtype or dtype policy of the layers. `None`: the global one.
        **kwargs: Passed on to `keras.Model`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`.

    Output shape:
        `{"input": (batch, height, width, channels), "stage1": (batch, height, width,
        filters[0]), "stage2": (batch, height / 2, width / 2, filters[1]), ...}`, in the
        data format.

    Raises:
        ValueError: If there is no stage, or the image is too small for so many.

    Example:
        ```python
        import numpy as np
        import mtlkit as mtl

        backbone = mtl.backbones.ConvBackbone(filters=(8, 16))
        images = np.random.default_rng(0).random((4, *backbone.input_shape[1:]))
        backbone.adapt(images)
        assert list(backbone.predict(images, verbose=0)) == ["input", "stage1", "stage2"]
        ```
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int] | None = None,
        filters: Sequence[int] = (32, 64, 128),
        normalize: bool = True,
        batch_norm: bool = False,
        data_format: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        data_format = standardize_data_format(data_format)
        first = data_format == "channels_first"
        if input_shape is None:
            input_shape = (1, 32, 32) if first else (32, 32, 1)
        if len(input_shape) != 3:
            raise ValueError(
                "Expected input_shape=(height, width, channels), or channels first in that data "
                f"format. Received: input_shape={input_shape}"
            )
        if not isinstance(filters, Sequence) or isinstance(filters, str):
            raise ValueError(
                "Expected filters with the channels of each stage, such as filters=(32, 64, 128). "
                f"Received: filters={filters!r}. For one stage, filters=({filters},)"
            )
        height_width = input_shape[1:] if first else input_shape[:2]
        if not filters or min(height_width) < 2 ** (len(filters) - 1):
            raise ValueError(
                "Expected at least one stage, and an image that can be halved between all of "
                f"them. Received: filters={filters}, input_shape={input_shape} ({data_format})"
            )
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())

        # === Layers ===
        normalization = None
        if normalize:
            normalization = InputNormalization(data_format, dtype=policy, name="normalization")
        stages: list[list[keras.layers.Layer]] = []
        for number, channels in enumerate(filters, 1):
            stages.append([])
            if number > 1:
                stages[-1].append(
                    keras.layers.MaxPooling2D(
                        data_format=data_format, dtype=policy, name=f"pool{number - 1}"
                    )
                )
            stages[-1].append(
                keras.layers.Conv2D(
                    channels,
                    3,
                    padding="same",
                    use_bias=not batch_norm,
                    data_format=data_format,
                    dtype=policy,
                    name=f"conv{number}",
                )
            )
            if batch_norm:
                stages[-1].append(batch_normalization(number, policy, 1 if first else -1))
            stages[-1].append(keras.layers.ReLU(dtype=policy, name=f"stage{number}"))

        # === Functional model ===
        inputs = keras.Input(shape=tuple(input_shape), name="image_input")
        super().__init__(inputs, normalization, stages, batch_norm, policy, **kwargs)

        # === Config ===
        self.image_shape = tuple(input_shape)
        self.filters = tuple(filters)
        self.data_format = data_format

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_shape": self.image_shape,
            "filters": self.filters,
            "data_format": self.data_format,
        }
