"""Maps of several sizes, joined from the coarsest to the finest, then read pixel by pixel."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from mtlkit._counts import check_count
from mtlkit.heads.designs.design import Design, build
from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers._resize import resize
from mtlkit.layers.reproducible_dropout import ReproducibleDropout


@keras.saving.register_keras_serializable(package="mtlkit")
class PyramidDesign(Design):
    """Joins maps of several sizes and gives `units` outputs for each pixel of an image.

    A 1x1 convolution brings each map to the same number of channels. The coarsest map is resized
    to the size of the next finer one (bilinear), the two are added, and a 3x3 convolution with
    ReLU follows; so it goes on up to the finest map. A last 1x1 convolution reads the result,
    and its outputs are resized to the size of the image.

    Args:
        units: Number of outputs a pixel.
        channels: Channels of the features.
        dropout: Rate of dropout before the last layer.
        data_format: `"channels_last"` or `"channels_first"`, of the maps. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        A list `[image, map, ...]`, each of shape `(batch, height, width, channels)` or with the
        channels first; or one map. Outputs have the size of the image, of which nothing else is
        used, or that of the one map. Maps whose size is known may come in any order, others from
        the finest to the coarsest.

    Output shape:
        `(batch, height, width, units)`, float32, the channels last in either data format.

    Raises:
        ValueError: If an argument is out of range, or an input is no map.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.designs import PyramidDesign

        image, fine = np.ones((2, 9, 9, 3), "float32"), np.ones((2, 5, 5, 8), "float32")
        coarse = np.ones((2, 3, 3, 16), "float32")
        assert PyramidDesign(units=4)([image, fine, coarse]).shape == (2, 9, 9, 4)
        ```

    Reference:
        [Kirillov et al., Panoptic Feature Pyramid Networks,
        2019](https://arxiv.org/abs/1901.02446), with sums as in [Lin et al., Feature Pyramid
        Networks for Object Detection, 2017](https://arxiv.org/abs/1612.03144)
    """

    def __init__(
        self,
        units: int,
        channels: int = 64,
        dropout: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        check_count("channels", channels, 1)
        self.channels = channels
        self.dropout = dropout
        self.data_format = standardize_data_format(data_format)
        self.drop: keras.layers.Layer | None = None
        if dropout:
            self.drop = ReproducibleDropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.outputs = keras.layers.Dense(units, dtype="float32", name="outputs")

    def build_features(self, input_shape: Any) -> tuple[int | None, ...]:
        shapes = self._maps(self._as_list(input_shape))
        for shape in shapes:
            if len(shape) != 4:
                raise ValueError(
                    "Expected maps with two spatial axes, of shape (batch, height, width, "
                    f"channels), to predict something for each pixel. Received: shape {shape}"
                )
        areas = [math.prod(size or 0 for size in self._channels_last(s)[1:3]) for s in shapes]
        self.order = sorted(range(len(shapes)), key=lambda place: -areas[place])
        shapes = [shapes[place] for place in self.order]
        options = {"padding": "same", "dtype": self.dtype_policy, "data_format": "channels_last"}
        self.laterals: list[keras.layers.Layer] = []
        self.joints: list[keras.layers.Layer] = []
        for number, shape in enumerate(shapes, 1):
            lateral = keras.layers.Conv2D(self.channels, 1, name=f"lateral{number}", **options)
            joint = keras.layers.Conv2D(
                self.channels, 3, activation="relu", name=f"joint{number}", **options
            )
            self.laterals.append(lateral)
            self.joints.append(joint)
            build(lateral, self._channels_last(shape))
            build(joint, (None, None, None, self.channels))
        finest = self._channels_last(shapes[0])
        return (*finest[:3], self.channels)

    def features(self, inputs: Any) -> Any:
        maps = self._maps(self._as_list(inputs))
        x = None
        for place, lateral, joint in zip(
            reversed(self.order), reversed(self.laterals), reversed(self.joints), strict=True
        ):
            own = lateral(self._last(maps[place]))
            x = own if x is None else own + resize(x, ops.shape(own)[1], ops.shape(own)[2])
            x = joint(x)
        return x

    def build_read(self, input_shape: tuple[int | None, ...]) -> None:
        if self.drop is not None:
            build(self.drop, input_shape)
        build(self.outputs, input_shape)

    def read(self, features: Any) -> Any:
        return self.outputs(features if self.drop is None else self.drop(features))

    def call(self, inputs: Any, mask: Any = None) -> Any:
        outputs = super().call(inputs)
        maps = inputs if self.conditioning is None else inputs[0]
        _, height, width, _ = self._channels_last(ops.shape(self._as_list(maps)[0]))
        return resize(outputs, height, width)

    def compute_output_spec(self, inputs: Any, mask: Any = None) -> Any:
        shapes = keras.tree.map_structure(lambda x: tuple(x.shape), inputs)
        return keras.KerasTensor(self.compute_output_shape(shapes), "float32")

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        maps = input_shape if self.conditioning is None else input_shape[0]
        return (*self._channels_last(tuple(self._as_list(maps)[0]))[:3], self.units)

    def _as_list(self, maps: Any) -> list[Any]:
        """The image and the maps, or the one map, of tensors as of shapes."""
        is_one = hasattr(maps, "shape") or not hasattr(maps[0], "__len__")
        return [maps] if is_one else list(maps)

    def _maps(self, maps: list[Any]) -> list[Any]:
        """What is read: all but the image, of which the size counts."""
        return maps if len(maps) == 1 else maps[1:]

    def _channels_last(self, shape: Any) -> tuple[Any, ...]:
        if self.data_format == "channels_last" or len(shape) != 4:
            return tuple(shape)
        return (shape[0], shape[2], shape[3], shape[1])

    def _last(self, x: Any) -> Any:
        return x if self.data_format == "channels_last" else ops.transpose(x, (0, 2, 3, 1))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "channels": self.channels,
            "dropout": self.dropout,
            "data_format": self.data_format,
        }
