"""Learned proxies of classes: how close a sample is to each."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.layers.unit_norm import unit_norm


class _Proxies(keras.layers.Layer):
    """A layer with a trainable vector for each of its outputs."""

    def units(self) -> int:
        """The number of outputs."""
        raise NotImplementedError(f"{type(self).__name__} must define units().")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] is None:
            raise ValueError(
                f"Expected embeddings of known size. Received: input_shape={tuple(input_shape)}"
            )
        self.proxies = self.add_weight(
            name="proxies", shape=(self.units(), input_shape[-1]), initializer="random_normal"
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[0], self.units()


@keras.saving.register_keras_serializable(package="mtlkit")
class CosineProxies(_Proxies):
    """The cosines of embeddings and learned proxies of the classes.

    What the losses of `mtlkit.losses.contrastive` that need proxies are computed from; times a
    scale they are also logits. In mixed precision give it `dtype="float32"`.

    Args:
        num_classes: Number of classes.
        proxies_per_class: Number of proxies of each class.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, dim)`.

    Output shape:
        `(batch, num_classes * proxies_per_class)`, the proxies of one class side by side.

    Raises:
        ValueError: If a count is not positive.

    Example:
        ```python
        import numpy as np
        from mtlkit.layers.proxies import CosineProxies
        from mtlkit.losses.contrastive import ProxyAnchor

        layer = CosineProxies(num_classes=3)
        cosines = layer(np.ones((2, 8), "float32"))
        assert cosines.shape == (2, 3)
        loss = ProxyAnchor()(np.array([0, 2]), cosines)
        ```
    """

    def __init__(self, num_classes: int, proxies_per_class: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in (("num_classes", num_classes), ("proxies_per_class", proxies_per_class)):
            if value < 1:
                raise ValueError(f"Expected {name} >= 1. Received: {name}={value}")
        self.num_classes = num_classes
        self.proxies_per_class = proxies_per_class
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def units(self) -> int:
        return self.num_classes * self.proxies_per_class

    def call(self, inputs: Any) -> Any:
        return ops.matmul(unit_norm(inputs), ops.transpose(unit_norm(self.proxies)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "proxies_per_class": self.proxies_per_class,
        }


@keras.saving.register_keras_serializable(package="mtlkit")
class PrototypeDistances(_Proxies):
    """Minus the squared Euclidean distances of embeddings and learned prototypes of the classes.

    As logits: the nearest prototype wins.

    Args:
        num_classes: Number of classes, each with one prototype.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, dim)`.

    Output shape:
        `(batch, num_classes)`, none above 0.

    Raises:
        ValueError: If `num_classes < 1`.

    Example:
        ```python
        import numpy as np
        from mtlkit.layers.proxies import PrototypeDistances

        assert PrototypeDistances(num_classes=3)(np.ones((2, 8), "float32")).shape == (2, 3)
        ```

    Reference:
        [Snell et al., Prototypical Networks, 2017](https://arxiv.org/abs/1703.05175)
    """

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_classes < 1:
            raise ValueError(f"Expected num_classes >= 1. Received: num_classes={num_classes}")
        self.num_classes = num_classes
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def units(self) -> int:
        return self.num_classes

    def call(self, inputs: Any) -> Any:
        difference = ops.expand_dims(inputs, 1) - self.proxies
        return -ops.sum(ops.square(difference), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
