"""A tensor and its mask, kept together where a model ends."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mtlkit")
class KeepMask(keras.layers.Layer):
    """Gives a tensor the mask that it is called with: `[tensor, mask]` to `tensor`.

    Within a model Keras hands masks from layer to layer by the graph. At its end they are left to
    attributes of tensors, which `keras.layers.MultiHeadAttention` removes from what it reads.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return ops.copy(inputs[0])  # not the tensor itself, whose mask others may remove

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return inputs[1]

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(inputs[0].shape, inputs[0].dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]


def with_mask(tensor: Any) -> Any:
    """Returns a symbolic tensor that keeps its mask at the end of a model, if it has one."""
    mask = getattr(tensor, "_keras_mask", None)
    return tensor if mask is None else KeepMask()([tensor, mask])


def makes_masks(layer: keras.layers.Layer) -> bool:
    """Whether a layer, or one within it, makes a mask of its input."""
    return any(
        isinstance(one, keras.layers.Masking) or bool(getattr(one, "mask_zero", False))
        for one in layer._flatten_layers()
    )
