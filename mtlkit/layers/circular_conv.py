"""Convolution that is circular along the angle of a polar map."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mtlkit")
class CircularConv2D(keras.layers.Layer):
    """Convolves `(radius, angle)` maps, with circular padding along the angle.

    The weights are shared over all angles and the last angle is the neighbour of the
    first, so rolling the input along the angle rolls the output (exactly, for shifts
    that are multiples of the stride along the angle). Along the radius the padding is
    `radial_padding`.

    Args:
        filters: Number of output channels.
        kernel_size: `(radii, angles)` covered by the kernel. The angles may be as many as
            the map has: a full-circle kernel sees everything at once.
        strides: `(radii, angles)` steps. The map's angles must be a multiple of theirs.
        radial_padding: `"same"` (zeros) or `"valid"`.
        activation: Activation, as in `keras.layers.Conv2D`.
        use_bias: Whether to add a bias.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, radii, angles, channels)`, whatever the image data format: a polar map
        is not an image.

    Output shape:
        `(batch, new_radii, angles / stride, filters)`.

    Raises:
        ValueError: If an argument is out of range, the angles are unknown, not a
            multiple of the stride, or fewer than the kernel covers.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.layers import CircularConv2D

        polar = np.random.default_rng(0).random((1, 4, 16, 2), dtype="float32")
        conv = CircularConv2D(3, (3, 5))
        outputs = ops.convert_to_numpy(conv(polar))
        turned = ops.convert_to_numpy(conv(np.roll(polar, 5, axis=2)))
        assert np.allclose(turned, np.roll(outputs, 5, axis=2), atol=1e-5)
        ```

    Reference:
        [Kim et al., CyCNN: A Rotation Invariant CNN using Polar Mapping and Cylindrical
        Convolution Layers, 2020](https://arxiv.org/abs/2007.10588)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int],
        strides: tuple[int, int] = (1, 1),
        radial_padding: str = "same",
        activation: Any = None,
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if radial_padding not in ("same", "valid"):
            raise ValueError(
                'Expected radial_padding to be "same" or "valid". '
                f"Received: radial_padding={radial_padding!r}"
            )
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.strides = tuple(strides)
        self.radial_padding = radial_padding
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self.conv = keras.layers.Conv2D(
            filters,
            self.kernel_size,
            strides=self.strides,
            padding="valid",
            data_format="channels_last",
            activation=self.activation,
            use_bias=use_bias,
            dtype=self.dtype_policy,
            name="conv",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        angles = input_shape[2]
        if angles is None or angles % self.strides[1] or angles < self.kernel_size[1]:
            raise ValueError(
                f"Expected a map whose angles are a multiple of {self.strides[1]} (the stride) "
                f"and at least {self.kernel_size[1]} (the kernel). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        if not self.conv.built:
            self.conv.build(self._padded_shape(input_shape))

    def call(self, inputs: Any) -> Any:
        (before, after), (inner, outer) = self._angular_padding(), self._radial_padding()
        x = inputs
        if before + after:
            angles = x.shape[2]
            x = ops.concatenate([x[:, :, angles - before :], x, x[:, :, :after]], axis=2)
        if inner + outer:
            x = ops.pad(x, ((0, 0), (inner, outer), (0, 0), (0, 0)))
        return self.conv(x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.conv.compute_output_shape(self._padded_shape(input_shape))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "radial_padding": self.radial_padding,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }

    def _angular_padding(self) -> tuple[int, int]:
        around = self.kernel_size[1] - 1
        return around // 2, around - around // 2

    def _radial_padding(self) -> tuple[int, int]:
        around = self.kernel_size[0] - 1 if self.radial_padding == "same" else 0
        return around // 2, around - around // 2

    def _padded_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, radii, angles, channels = shape
        radii = None if radii is None else radii + sum(self._radial_padding())
        angles = None if angles is None else angles + sum(self._angular_padding())
        return batch, radii, angles, channels
