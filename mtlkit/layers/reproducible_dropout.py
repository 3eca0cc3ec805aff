"""Dropout that draws the same masks on every backend."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers._reproducible_random import random_bits


@keras.saving.register_keras_serializable(package="mtlkit")
class ReproducibleDropout(keras.layers.Layer):
    """Dropout whose masks depend on nothing but the seed and the number of calls.

    In training each value is set to zero with probability `rate`, the others are divided by
    `1 - rate`; elsewhere the layer is the identity. The mask is an integer hash of position,
    call and seed, so that it is the same on TensorFlow, JAX and PyTorch, and the calls are
    counted in a saved weight, so that resumed training goes on as uninterrupted training
    would. (`keras.layers.Dropout` draws other masks on each backend, and from a generator
    that is not saved.)

    Args:
        rate: Share of values that are dropped, at least 0 and below 1.
        seed: Seed of the masks, a whole number. Layers of one seed drop the same positions.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        Any floating-point tensor.

    Output shape:
        That of the input.

    Raises:
        ValueError: If the rate is not in `[0, 1)`.

    Example:
        ```python
        import numpy as np
        from mtlkit.layers import ReproducibleDropout

        layer = ReproducibleDropout(0.5)
        outputs = np.array(layer(np.ones((1, 1000), "float32"), training=True))
        assert set(np.unique(outputs)) == {0.0, 2.0} and 0.4 < np.mean(outputs == 0) < 0.6
        ```

    Reference:
        [Srivastava et al., Dropout, 2014](https://jmlr.org/papers/v15/srivastava14a.html)
    """

    def __init__(self, rate: float, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"Expected a rate in [0, 1). Received: rate={rate}")
        self.rate = rate
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.calls = self.add_weight(
            name="calls", shape=(), initializer="zeros", dtype="int32", trainable=False
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.rate:
            return inputs
        call = ops.add(self.calls, 1)  # a value of its own, not a view of the variable
        self.calls.assign(call)
        keep = random_bits(ops.shape(inputs), call, self.seed) >= int(self.rate * 2**31)
        return ops.where(keep, inputs / (1 - self.rate), ops.zeros_like(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
