"""Gradient gates: the identity forward, a scaled gradient backward."""

from __future__ import annotations

import math
from inspect import signature
from typing import Any

import keras
from keras import ops


@ops.custom_gradient
def _scale_gradient(x: Any, scale: Any) -> tuple[Any, Any]:
    """Returns `x` itself, bit for bit; its gradient is multiplied by `scale`."""

    def grad(*args: Any, upstream: Any = None) -> tuple[Any, Any]:
        upstream = args[0] if upstream is None else upstream  # PyTorch names it
        return upstream * ops.cast(scale, upstream.dtype), ops.zeros_like(scale)

    return x, grad


class GradientGate(keras.layers.Layer):
    """What the three gates share: an optional wrapped layer, and the identity forward.

    Args:
        layer: A layer to apply behind the gate, or `None` for the gate alone.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(self, layer: keras.layers.Layer | None = None, **kwargs: Any) -> None:
        # What passes is not cast, whatever the dtype policy: a gate is the identity.
        super().__init__(autocast=False, **kwargs)
        if layer is not None and not isinstance(layer, keras.layers.Layer):
            raise ValueError(
                f"Expected layer to be a Keras layer or None. Received: layer={layer!r}"
            )
        self.layer = layer
        self.supports_masking = layer is None or layer.supports_masking
        self._passes_mask = layer is not None and "mask" in signature(layer.call).parameters

    def gate(self, x: Any) -> Any:
        """Returns `x` with its gradient governed."""
        raise NotImplementedError(f"{type(self).__name__} must define gate().")

    def build(self, input_shape: Any) -> None:
        if self.layer is not None and not self.layer.built:
            self.layer.build(input_shape)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        gated = keras.tree.map_structure(self.gate, inputs)
        if self.layer is None:
            return gated
        return self.layer(gated, mask=mask) if self._passes_mask else self.layer(gated)

    def compute_output_spec(self, inputs: Any, mask: Any = None) -> Any:
        if self.layer is not None:
            return self.layer.compute_output_spec(inputs)
        return keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype), inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape if self.layer is None else self.layer.compute_output_shape(input_shape)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if self.layer is None:
            return previous_mask
        return self.layer.compute_mask(inputs, previous_mask)

    def get_config(self) -> dict[str, Any]:
        layer = None if self.layer is None else keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GradientGate:
        config = dict(config)
        if config.get("layer") is not None:
            config["layer"] = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**config)


@keras.saving.register_keras_serializable(package="mtlkit")
class GradientStop(GradientGate):
    """Lets values through and stops the gradient.

    Alone it is the identity whose gradient is zero. Wrapping a layer, it trains that
    layer but not what feeds it: `GradientStop(head)(x)`.

    Args:
        layer: A layer to apply behind the gate, or `None` for the gate alone.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        Any tensor, or structure of tensors.

    Output shape:
        That of the input, or of the wrapped layer's output.

    Raises:
        ValueError: If `layer` is not a Keras layer.

    Example:
        ```python
        import keras
        from mtlkit.layers import GradientStop

        features = keras.Input((8,))
        outputs = GradientStop(keras.layers.Dense(1))(features)
        ```
    """

    def gate(self, x: Any) -> Any:
        return ops.stop_gradient(x)


class _ScaledGate(GradientGate):
    """A gate with a scale that is a saved, non-trainable weight."""

    def __init__(
        self, layer: keras.layers.Layer | None = None, scale: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(layer, **kwargs)
        if not math.isfinite(scale):
            raise ValueError(f"Expected a finite scale. Received: scale={scale}")
        self._initial_scale = float(scale)
        self.scale = self.add_weight(
            name="scale",
            shape=(),
            initializer=keras.initializers.Constant(self._initial_scale),
            dtype="float32",
            trainable=False,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self._initial_scale}


@keras.saving.register_keras_serializable(package="mtlkit")
class GradientScale(_ScaledGate):
    """Lets values through and multiplies the gradient by `scale`.

    Forward it is the identity, bit for bit, in every dtype and for infinities too;
    backward, `dL/dx = scale * dL/dy`. Gates in a row multiply their scales.

    `scale` is a non-trainable weight: `gate.scale.assign(0.1)` acts at once, without
    compiling again, and is saved with the model.

    Args:
        layer: A layer to apply behind the gate, or `None` for the gate alone.
        scale: The initial scale. 1 leaves the gradient alone, 0 stops it.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        Any floating-point tensor, or structure of tensors.

    Output shape:
        That of the input, or of the wrapped layer's output.

    Raises:
        ValueError: If `layer` is not a Keras layer, or the scale not finite.

    Example:
        ```python
        import keras
        from mtlkit.layers import GradientScale

        gate = GradientScale(scale=0.5)
        outputs = keras.layers.Dense(1)(gate(keras.Input((8,))))
        gate.scale.assign(0.1)
        ```
    """

    def gate(self, x: Any) -> Any:
        return _scale_gradient(x, ops.convert_to_tensor(self.scale))


@keras.saving.register_keras_serializable(package="mtlkit")
class GradientReversal(_ScaledGate):
    """Lets values through and multiplies the gradient by `-scale`.

    What feeds the gate is trained to make the task behind it fail, as in
    domain-adversarial training: forward the identity, bit for bit; backward,
    `dL/dx = -scale * dL/dy`.

    `scale` is a non-trainable weight: `gate.scale.assign(0.1)` acts at once, without
    compiling again, and is saved with the model.

    Args:
        layer: A layer to apply behind the gate, or `None` for the gate alone.
        scale: The initial scale (the paper's lambda).
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        Any floating-point tensor, or structure of tensors.

    Output shape:
        That of the input, or of the wrapped layer's output.

    Raises:
        ValueError: If `layer` is not a Keras layer, or the scale not finite.

    Example:
        ```python
        import keras
        from mtlkit.layers import GradientReversal

        features = keras.Input((8,))
        domain = GradientReversal(keras.layers.Dense(1), scale=0.3)(features)
        ```

    Reference:
        [Ganin et al., Domain-Adversarial Training of Neural Networks,
        2016](https://arxiv.org/abs/1505.07818)
    """

    def gate(self, x: Any) -> Any:
        return _scale_gradient(x, -ops.convert_to_tensor(self.scale))
