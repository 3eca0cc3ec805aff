"""A gate whose gradient is multiplied by a weight that a step finds out."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mtlkit")
class WeightedGate(keras.layers.Layer):
    """The identity forward; backward the gradient is multiplied by `weight`, if there is one.

    A model that balances gradients with respect to the parameters of its backbone has such a gate
    behind each feature that a task reads, and sets the weight in each step.

    Attributes:
        weight: A scalar tensor of the step that is computed, or `None` for 1.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing.weighted_gate import WeightedGate
        from mtlkit.testing import input_gradients

        gate = WeightedGate()
        gate.weight = np.float32(0.5)
        assert np.allclose(input_gradients(lambda x: sum(gate(x)), np.ones(2, "float32")), 0.5)
        ```
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self.weight: Any = None

    def call(self, inputs: Any) -> Any:
        return _weighted(self, inputs)

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(inputs.shape, inputs.dtype)


def _weighted(layer: WeightedGate, inputs: Any) -> Any:
    @ops.custom_gradient
    def gate(inputs: Any) -> tuple[Any, Any]:
        def grad(*args: Any, upstream: Any = None) -> Any:
            upstream = args[0] if upstream is None else upstream  # PyTorch names it
            weight = layer.weight
            return upstream if weight is None else upstream * ops.cast(weight, upstream.dtype)

        return inputs, grad

    return gate(inputs)
