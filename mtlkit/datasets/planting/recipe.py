"""The model that a user is stuck with, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from mtlkit.backbones import ConvBackbone
from mtlkit.datasets.planting._mismatched_losses import LOSSES
from mtlkit.heads import ClassificationHead, OrientationHead, RegressionHead
from mtlkit.model import MultiTaskModel
from mtlkit.model.task import Task


@dataclass(frozen=True)
class Recipe:
    """How the user's model is built and trained.

    Args:
        spatial: The spatial design of the orientation head.
        feature: The feature map that it reads. `None`: the one that suits it.
        filters: Channels of the backbone's stages.
        normalize: Whether the backbone standardises its input.
        trunk_bias: What the biases of the backbone's convolutions start from.
        loss: `"default"`, or a name in `LOSSES`: a loss that does not suit the task.
        identity_weight: Weight of identity's loss.
        orientation_weight: Weight of orientation's loss.
        intensity_weight: Weight of intensity's loss.
        identity_gradient: What identity's gradient does at the backbone.
        intensity_gradient: What intensity's gradient does at the backbone.
        optimizer: Name of the optimizer.
        learning_rate: Its learning rate.
        epochs: Number of epochs.
        batch_size: Number of samples in a batch.

    Example:
        ```python
        from mtlkit.datasets.planting import Recipe

        model = Recipe(spatial="flatten").build(num_bins=8, input_shape=(32, 32, 1))
        assert list(model.tasks) == ["identity", "orientation", "intensity"]
        ```
    """

    spatial: str = "polar"
    feature: str | None = None
    filters: tuple[int, ...] = (16, 32, 32)
    normalize: bool = True
    trunk_bias: float = 0.0
    loss: str = "default"
    identity_weight: float = 1.0
    orientation_weight: float = 1.0
    intensity_weight: float = 1.0
    identity_gradient: str | float = "flow"
    intensity_gradient: str | float = "stop"
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    epochs: int = 10
    batch_size: int = 64

    def build(
        self, num_bins: int, input_shape: tuple[int, int, int], data_format: str | None = None
    ) -> MultiTaskModel:
        """Builds and compiles the model.

        Args:
            num_bins: Number of orientation bins.
            input_shape: Shape of an image with its channel.
            data_format: Where the channel is. `None`: `keras.config.image_data_format()`.

        Returns:
            The model, not yet trained.
        """
        backbone = ConvBackbone(
            input_shape, filters=self.filters, normalize=self.normalize, data_format=data_format
        )
        if self.trunk_bias:
            _set_biases(backbone, self.trunk_bias)
        model = MultiTaskModel(backbone, self._tasks(num_bins, data_format))
        optimizer = keras.optimizers.get(self.optimizer)
        optimizer.learning_rate = self.learning_rate
        model.compile(optimizer)
        return model

    def _tasks(self, num_bins: int, data_format: str | None) -> list[Task]:
        loss: Any = None if self.loss == "default" else LOSSES[self.loss]
        return [
            Task(
                "identity",
                ClassificationHead(10, data_format=data_format),
                weight=self.identity_weight,
                gradient=self.identity_gradient,
            ),
            Task(
                "orientation",
                OrientationHead(num_bins, self.spatial, data_format=data_format),
                weight=self.orientation_weight,
                feature=self.feature,
                loss=loss,
            ),
            Task(
                "intensity",
                RegressionHead(data_format=data_format, standardize=False),
                weight=self.intensity_weight,
                gradient=self.intensity_gradient,
            ),
        ]


def _set_biases(backbone: keras.Model, value: float) -> None:
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.bias.assign(keras.ops.full(layer.bias.shape, value))
