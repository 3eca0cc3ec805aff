"""Backbones that standardise their input."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.layers.input_normalization import InputNormalization


class NormalizedBackbone(keras.Model):
    """A backbone whose first layer may be an input normalisation, which `fit` adapts.

    `mtlkit.MultiTaskModel.fit` calls `adapt` with the training images where `adapted` is
    false; any backbone of your own with these two members gets the same.

    Attributes:
        normalization: The `mtlkit.layers.InputNormalization`, or `None`.
    """

    normalization: InputNormalization | None
    _map_names: tuple[str, ...]

    @property
    def feature_names(self) -> list[str]:
        """Names of the feature maps, from the input to the last."""
        return list(self._map_names)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        # Frozen, it is in inference mode: not only batch normalisation, dropout, too.
        return super().call(inputs, training=training and self.trainable, mask=mask)

    @property
    def adapted(self) -> bool:
        """Whether the input normalisation has its statistics (or there is none)."""
        return self.normalization is None or self.normalization.adapted

    def adapt(self, data: Any) -> None:
        """Sets the statistics of the input normalisation from training data."""
        if self.normalization is None:
            raise ValueError("Expected a backbone with normalize=True to adapt. Received: False")
        self.normalization.adapt(data)
