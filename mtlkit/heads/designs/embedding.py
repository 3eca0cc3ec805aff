"""An embedding, and classes and similarities that are read from it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.heads.designs.design import Design, build
from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers.feature_pooling import FeaturePooling
from mtlkit.layers.proxies import CosineProxies, PrototypeDistances
from mtlkit.layers.reproducible_dropout import ReproducibleDropout
from mtlkit.layers.unit_norm import unit_norm

#: How logits are read from the embedding.
CLASSIFIERS = ("linear", "cosine", "prototype")

#: What cosines are multiplied by to be logits.
_SCALE = 20.0


@keras.saving.register_keras_serializable(package="mtlkit")
class EmbeddingDesign(Design):
    """Pools a feature to a vector, embeds it, and reads classes from the embedding.

    The feature passes a 1x1 convolution (the bottleneck, if any), is pooled to a vector,
    normalised, and read by a hidden layer: these are the features. A linear layer makes the
    embedding of them. The outputs are, side by side: the logits of the classes, the cosines of
    embedding and proxies (if any), and the embedding, scaled to unit length.

    Args:
        num_classes: Number of classes.
        embedding_dim: Dimension of the embedding.
        classifier: What logits are: `"linear"`, a linear layer on the embedding before it is
            scaled; `"cosine"`, 20 times the cosine with the class's proxy (the closest, of
            several), which are those below where there are any; `"prototype"`, minus the
            squared distance of the embedding, before it is scaled, from a learned one.
        proxies_per_class: Number of proxies of each class whose cosines are put out; 0 for
            none.
        pooling: How the map becomes a vector, see `mtlkit.layers.FeaturePooling`.
        bottleneck: Channels of the 1x1 convolution; 0 for none.
        hidden_units: Width of the hidden layer; 0 for none.
        dropout: Rate of dropout before the embedding.
        layer_norm: Whether to normalise the pooled vector, and the hidden layer, of each sample
            (`LayerNormalization`), so that the contrast of the image matters less.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, channels)`, or a map as in `mtlkit.layers.FeaturePooling`.

    Output shape:
        `(batch, num_classes + num_classes * proxies_per_class + embedding_dim)`, float32.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.heads.designs.embedding import EmbeddingDesign

        design = EmbeddingDesign(num_classes=3, embedding_dim=8)
        maps = np.random.default_rng(0).random((2, 4, 4, 5), dtype="float32")
        outputs = ops.convert_to_numpy(design(maps))
        assert outputs.shape == (2, 3 + 8)
        assert np.allclose(np.linalg.norm(outputs[:, 3:], axis=1), 1, atol=1e-5)
        ```
    """

    reads_mask = True

    def __init__(
        self,
        num_classes: int,
        embedding_dim: int = 64,
        classifier: str = "linear",
        proxies_per_class: int = 0,
        pooling: str = "flatten",
        bottleneck: int = 0,
        hidden_units: int = 128,
        dropout: float = 0.0,
        layer_norm: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        for name, value, least in (
            ("num_classes", num_classes, 2),
            ("embedding_dim", embedding_dim, 2),
            ("proxies_per_class", proxies_per_class, 0),
            ("bottleneck", bottleneck, 0),
            ("hidden_units", hidden_units, 0),
        ):
            if value < least:
                raise ValueError(f"Expected {name} >= {least}. Received: {name}={value}")
        if classifier not in CLASSIFIERS:
            raise ValueError(
                f"Expected classifier to be one of {CLASSIFIERS}. Received: {classifier!r}"
            )
        super().__init__(num_classes * (1 + proxies_per_class) + embedding_dim, **kwargs)
        self.num_classes = num_classes
        self.embedding_dim = embedding_dim
        self.classifier = classifier
        self.proxies_per_class = proxies_per_class
        self.pooling = pooling
        self.bottleneck = bottleneck
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.layer_norm = layer_norm
        self.data_format = standardize_data_format(data_format)
        self.steps = self._make_steps()
        self.embedding = keras.layers.Dense(embedding_dim, dtype="float32", name="embedding")
        self.proxies = self._make_proxies()
        self.read_logits = self._make_classifier()

    def build_features(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        shape: tuple[Any, ...] = tuple(input_shape)
        if self._channels_first(len(shape)):
            shape = (shape[0], *shape[2:], shape[1])
        for step in self.steps:
            if step.name == "layer_norm" and shape[-1] == 1:
                raise ValueError(
                    "Expected at least two features for layer_norm=True, which turns a single one "
                    f"into a constant. Received: features of shape {tuple(input_shape)}, pooled "
                    "to one"
                )
            shape = build(step, shape)
        return shape

    def features(self, inputs: Any, mask: Any = None) -> Any:
        x = ops.moveaxis(inputs, 1, -1) if self._channels_first(len(inputs.shape)) else inputs
        for step in self.steps:
            x = step(x, mask=mask) if step.name == "pool" else step(x)
        return x

    def build_read(self, input_shape: tuple[int | None, ...]) -> None:
        shape = build(self.embedding, input_shape)
        for layer in (self.proxies, self.read_logits):
            if layer is not None:
                build(layer, shape)

    def read(self, features: Any) -> Any:
        embedding = self.embedding(features)
        direction = unit_norm(embedding)
        if self.proxies is None:
            return ops.concatenate([self._logits(embedding, None), direction], axis=-1)
        cosines = self.proxies(direction)
        parts = [self._logits(embedding, cosines), direction]
        if self.proxies_per_class:
            parts.insert(1, cosines)
        return ops.concatenate(parts, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "embedding_dim": self.embedding_dim,
            "classifier": self.classifier,
            "proxies_per_class": self.proxies_per_class,
            "pooling": self.pooling,
            "bottleneck": self.bottleneck,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "layer_norm": self.layer_norm,
            "data_format": self.data_format,
        }

    def _make_steps(self) -> list[keras.layers.Layer]:
        """The layers of the features, for maps with channels last."""
        policy = self.dtype_policy
        steps: list[keras.layers.Layer] = []
        if self.bottleneck:  # on each position, as a 1x1 convolution of any rank
            steps.append(
                keras.layers.Dense(
                    self.bottleneck, activation="relu", dtype=policy, name="bottleneck"
                )
            )
        steps.append(FeaturePooling(self.pooling, "channels_last", dtype=policy, name="pool"))
        if self.layer_norm:
            steps.append(keras.layers.LayerNormalization(dtype=policy, name="layer_norm"))
        if self.hidden_units:
            steps.append(keras.layers.Dense(self.hidden_units, dtype=policy, name="hidden"))
            if self.layer_norm:  # so that no step of the optimizer leaves all units dead
                steps.append(keras.layers.LayerNormalization(dtype=policy, name="hidden_norm"))
            steps.append(keras.layers.Activation("relu", dtype=policy, name="hidden_relu"))
        if self.dropout:
            steps.append(ReproducibleDropout(self.dropout, dtype=policy, name="dropout"))
        return steps

    def _make_proxies(self) -> CosineProxies | None:
        if not self.proxies_per_class and self.classifier != "cosine":
            return None
        return CosineProxies(
            self.num_classes, max(self.proxies_per_class, 1), dtype="float32", name="proxies"
        )

    def _make_classifier(self) -> keras.layers.Layer | None:
        if self.classifier == "cosine":
            return None
        if self.classifier == "prototype":
            return PrototypeDistances(self.num_classes, dtype="float32", name="logits")
        return keras.layers.Dense(self.num_classes, dtype="float32", name="logits")

    def _logits(self, embedding: Any, cosines: Any) -> Any:
        if self.read_logits is not None:
            return self.read_logits(embedding)
        by_class = ops.reshape(cosines, (-1, self.num_classes, max(self.proxies_per_class, 1)))
        return _SCALE * ops.max(by_class, axis=-1)

    def _channels_first(self, rank: int) -> bool:
        return self.data_format == "channels_first" and rank > 3
