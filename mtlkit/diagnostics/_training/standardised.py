"""The scale of what reaches the first layer that learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit.diagnostics.thresholds import MEAN_OFF, SCALE_OFF
from mtlkit.model import MultiTaskModel
from mtlkit.model._outputs import outputs_of

#: Inputs that are looked at.
_LOOKED_AT = 512


@dataclass(frozen=True)
class Standardised:
    """Standardises inputs by channel, with the statistics of the training inputs.

    Attributes:
        mean: Mean by channel.
        deviation: Standard deviation by channel.
    """

    mean: NDArray
    deviation: NDArray

    @classmethod
    def of(cls, images: NDArray) -> Standardised:
        """Returns the standardisation with the statistics of these inputs."""
        first = keras.config.image_data_format() == "channels_first" and images.ndim > 2
        channels = 1 if first else images.ndim - 1
        axes = tuple(axis for axis in range(images.ndim) if axis != channels)
        values = images.astype("float64")
        deviation = values.std(axis=axes, keepdims=True)
        return cls(values.mean(axis=axes, keepdims=True), np.where(deviation > 0, deviation, 1.0))

    def __call__(self, images: NDArray) -> NDArray[np.float32]:
        """Standardises inputs."""
        return ((images - self.mean) / self.deviation).astype("float32")


def is_standardised(model: MultiTaskModel, images: NDArray) -> bool:
    """Whether inputs have about mean 0 and deviation 1 where the first layer learns from them."""
    first = _first_learning(model.backbone)
    scaled = (
        keras.layers.BatchNormalization,
        keras.layers.LayerNormalization,
        keras.layers.Embedding,  # of tokens, which have no scale
    )
    if isinstance(first, scaled):
        return True
    values: Any = images[:_LOOKED_AT]
    if first is not None:
        values = outputs_of(keras.Model(model.backbone.inputs[0], first.input), values)
    values = np.asarray(values, "float64")
    mean, deviation = float(values.mean()), float(values.std())
    return abs(mean) <= MEAN_OFF * deviation and 1 / SCALE_OFF <= deviation <= SCALE_OFF


def _first_learning(backbone: Any) -> Any:
    """The first layer with trainable weights of a backbone with one input, or `None`."""
    if len(getattr(backbone, "inputs", None) or ()) != 1:
        return None
    for layer in backbone.layers:
        if layer.weights and not hasattr(layer, "adapt"):  # not a normalisation with statistics
            try:
                single = isinstance(layer.input, keras.KerasTensor)
            except (AttributeError, ValueError):  # called several times
                return None
            return layer if single else None
    return None
