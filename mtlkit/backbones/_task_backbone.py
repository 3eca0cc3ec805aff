"""What backbones with a feature for each task share."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.backbones._frame import Frame
from mtlkit.backbones._normalized import NormalizedBackbone
from mtlkit.backbones._parts import deserialize


class TaskBackbone(NormalizedBackbone):
    """A backbone with a feature map for each of its tasks, named as the task.

    Attributes:
        task_names: Names of the tasks that it has a feature for.
    """

    def __init__(self, frame: Frame, maps: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(inputs=frame.inputs, outputs={"input": frame.features, **maps}, **kwargs)
        self.task_names = frame.tasks
        self.sample_shape = frame.sample_shape
        self.normalize = frame.normalize
        self.batch_norm = frame.batch_norm
        self.data_format = frame.data_format
        self.normalization = frame.normalization
        self._map_names = ("input", *maps)
        self._policy = frame.policy

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "tasks": self.task_names,
            "input_shape": self.sample_shape,
            "normalize": self.normalize,
            "batch_norm": self.batch_norm,
            "data_format": self.data_format,
            "dtype": keras.dtype_policies.serialize(self._policy),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> TaskBackbone:
        with keras.saving.custom_object_scope(custom_objects or {}):
            return cls(**{name: deserialize(value) for name, value in config.items()})
