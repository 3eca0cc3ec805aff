"""What backbones of plain stages share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mtlkit.backbones._normalized import NormalizedBackbone
from mtlkit.layers.input_normalization import InputNormalization


class StagedBackbone(NormalizedBackbone):
    """A normalised input, and stages of layers; the maps are `"input"`, `"stage1"`, ..."""

    def __init__(
        self,
        inputs: Any,
        normalization: InputNormalization | None,
        stages: Sequence[Sequence[keras.layers.Layer]],
        batch_norm: bool,
        policy: Any,
        **kwargs: Any,
    ) -> None:
        x = inputs if normalization is None else normalization(inputs)
        maps = {"input": x}
        for number, layers in enumerate(stages, 1):
            for layer in layers:
                x = layer(x)
            maps[f"stage{number}"] = x
        super().__init__(inputs=inputs, outputs=maps, **kwargs)
        self.normalize = normalization is not None
        self.batch_norm = batch_norm
        self.normalization = normalization
        self._map_names = tuple(maps)
        self._policy = policy

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "normalize": self.normalize,
            "batch_norm": self.batch_norm,
            "dtype": keras.dtype_policies.serialize(self._policy),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> StagedBackbone:
        config = dict(config)
        config["dtype"] = keras.dtype_policies.deserialize(config["dtype"])
        return cls(**config)
