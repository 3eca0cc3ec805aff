"""The frame of designs: features of the task, then outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import keras

from mtlkit._counts import check_count


class Design(keras.layers.Layer, ABC):
    """A layer from a feature of the backbone to the outputs of a head, in two steps.

    `features` turns the map into what the task is read from, of shape `(batch, ..., channels)`;
    `read` turns that into outputs. Between the two is the place for what another task
    predicts: a layer in `self.conditioning`, called on `[features, condition]`. The design
    is then itself called on `[map, condition]`.

    Subclasses define the four abstract methods. Where `features` takes a `mask`, of the steps of
    a sequence, they set `reads_mask`.

    Args:
        units: Number of outputs, of shape `(batch, units)`, float32.
        **kwargs: Passed on to `keras.layers.Layer`.

    Raises:
        ValueError: If `units < 1`.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.designs import PooledDesign
        from mtlkit.layers import FiLM

        design = PooledDesign(units=3)
        design.conditioning = FiLM()
        feature, prediction = np.ones((2, 8, 8, 4), "float32"), np.ones((2, 10), "float32")
        assert design([feature, prediction]).shape == (2, 3)
        ```
    """

    reads_mask = False

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_count("units", units, 1)
        self.units = units
        self.supports_masking = True
        #: Lets the features see what another task predicts; set before building.
        self.conditioning: keras.layers.Layer | None = None

    @abstractmethod
    def build_features(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Builds what `features` uses; returns the shape of its result."""

    @abstractmethod
    def features(self, inputs: Any) -> Any:
        """Turns the map into what the task is read from."""

    @abstractmethod
    def build_read(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds what `read` uses, from the shape of the features."""

    @abstractmethod
    def read(self, features: Any) -> Any:
        """Turns features into outputs."""

    def build(self, input_shape: Any) -> None:
        if self.conditioning is None:
            self.build_read(self.build_features(input_shape))
            return
        map_shape, condition_shape = (tuple(shape) for shape in input_shape)
        shapes = [self.build_features(map_shape), condition_shape]
        self.build_read(build(self.conditioning, shapes))

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if self.conditioning is None:
            return self.read(self._features(inputs, mask))
        inputs, condition = inputs
        mask = mask[0] if isinstance(mask, list | tuple) else None
        return self.read(self.conditioning([self._features(inputs, mask), condition]))

    def _features(self, inputs: Any, mask: Any) -> Any:
        options = {"mask": mask} if self.reads_mask else {}
        return self.features(inputs, **options)

    def compute_output_spec(self, inputs: Any, mask: Any = None) -> Any:
        batch = keras.tree.flatten(inputs)[0].shape[0]
        return keras.KerasTensor((batch, self.units), "float32")

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None  # one output a sample

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        map_shape = input_shape if self.conditioning is None else input_shape[0]
        return map_shape[0], self.units


def build(layer: keras.layers.Layer, shape: Any) -> tuple[Any, ...]:
    """Builds a layer that is not built yet; returns the shape of its output."""
    if not layer.built:
        layer.build(shape)
    return layer.compute_output_shape(shape)
