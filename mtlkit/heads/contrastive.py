"""Contrastive classification: classes, and an embedding in which they are apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from mtlkit.heads._designed_head import DesignedHead
from mtlkit.heads._labels import check_classes
from mtlkit.heads._logits import decode_logits
from mtlkit.heads.designs.embedding import CLASSIFIERS, EmbeddingDesign
from mtlkit.losses.contrastive import (
    ArcFace,
    ContrastiveCrossEntropy,
    CosFace,
    MultiSimilarity,
    NormFace,
    NTXent,
    ProxyAnchor,
    ProxyLoss,
    RankNContrast,
    SoftTriple,
    SupervisedContrastive,
    TripletSemiHard,
)
from mtlkit.losses.masked import BatchLoss
from mtlkit.metrics.masked import MaskedMetric
from mtlkit.metrics.sliced import SlicedMetric
from mtlkit.space import Boolean, Choice, Float

#: The contrastive losses by name, each made for a number of classes.
LOSSES: dict[str, Callable[[int], BatchLoss]] = {
    "supcon": lambda classes: SupervisedContrastive(),
    "soft_supcon": lambda classes: SupervisedContrastive(pair_weights="gaussian", num_bins=classes),
    "nt_xent": lambda classes: NTXent(),
    "triplet": lambda classes: TripletSemiHard(),
    "multi_similarity": lambda classes: MultiSimilarity(),
    # The embeddings have unit length: they are closer than those that the paper's 2 is for.
    "rank_n_contrast": lambda classes: RankNContrast(temperature=0.2, num_bins=classes),
    "proxy_anchor": lambda classes: ProxyAnchor(),
    "normface": lambda classes: NormFace(),
    "cosface": lambda classes: CosFace(),
    "arcface": lambda classes: ArcFace(),
    "soft_triple": lambda classes: SoftTriple(),
}


@keras.saving.register_keras_serializable(package="mtlkit")
class ContrastiveHead(DesignedHead):
    """Predicts one of `num_classes` classes, from an embedding trained by comparisons.

    The feature is pooled, read by a hidden layer, and embedded; a classifier reads the
    embedding. The loss is the cross-entropy of the classifier plus `loss_weight` times a
    contrastive loss, the mean over the labelled samples:

    - of embeddings compared with each other: `"supcon"` (`SupervisedContrastive`), `"nt_xent"`,
      `"triplet"`, `"multi_similarity"`. They need several samples of a class in a batch;
      where classes are many, draw batches with `mtlkit.datasets.ClassBalancedBatches`.
    - for classes that are bins around a circle: `"soft_supcon"` (neighbours are alike, with a
      Gaussian of width 1 bin) and `"rank_n_contrast"` (with the temperature 0.2, since
      embeddings have unit length), which needs no two samples of a class.
    - of embeddings compared with learned proxies of the classes: `"normface"`, `"cosface"`,
      `"arcface"`, `"proxy_anchor"`, `"soft_triple"`. Any batch will do.
    - a `BatchLoss` of your own, or one of `mtlkit.losses.contrastive` with other arguments. It
      is given the cosines with the proxies if it is a `ProxyLoss`, else the embeddings.

    Labels are integers `0 ... num_classes - 1`, of shape `(batch,)` or `(batch, 1)`; -1 means
    unlabelled: such samples are not compared with, either.

    The outputs hold logits, cosines (if any) and embedding side by side; `decode` takes them
    apart. Metrics given to a `mtlkit.Task` read the logits alone; in a model of your own, let
    them do so with `mtlkit.metrics.SlicedMetric(metric, 0, num_classes)`.

    Args:
        num_classes: Number of classes.
        embedding_dim: Dimension of the embedding.
        loss: Name of the contrastive loss, or a `BatchLoss`.
        classifier: How logits are read from the embedding: `"linear"`, `"cosine"` (20 times
            the cosine with proxies of the classes, those of the loss where it has them) or
            `"prototype"` (minus the squared distance from learned ones). See
            `mtlkit.heads.designs.EmbeddingDesign`.
        loss_weight: Weight of the contrastive loss; the cross-entropy has 1. Losses whose values
            are large, such as `"proxy_anchor"`, drown it where this is large, too.
        pooling: How a map becomes a vector: `"average"`, `"max"`, `"flatten"`,
            `"attention"` or `"spatial_softmax"`. See `mtlkit.layers.FeaturePooling`.
        bottleneck: Channels of a 1x1 convolution before pooling; 0 for none.
        hidden_units: Width of the hidden layer; 0 for none.
        dropout: Rate of dropout before the embedding.
        layer_norm: Whether to normalise the pooled vector, and the hidden layer, of each sample
            (`keras.layers.LayerNormalization`), so that contrast matters less.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, channels)`, or a map as in `mtlkit.layers.FeaturePooling`.

    Output shape:
        `(batch, num_classes + proxies + embedding_dim)`, float32, where there are no proxies
        unless the contrastive loss is one of proxies.

    Raises:
        ValueError: If an argument is out of range, or the loss is not known.

    Example:
        ```python
        import keras
        import numpy as np
        from mtlkit.heads.contrastive import ContrastiveHead

        features = keras.Input((8, 8, 16))
        head = ContrastiveHead(num_classes=10)
        model = keras.Model(features, head(features))
        model.compile("adam", loss=head.default_loss(), metrics=head.default_metrics())
        decoded = head.decode(model(np.ones((2, 8, 8, 16), "float32")))
        assert decoded["embedding"].shape == (2, 64)
        ```

    Reference:
        [Khosla et al., Supervised Contrastive Learning, 2020](https://arxiv.org/abs/2004.11362)
    """

    def __init__(
        self,
        num_classes: int,
        embedding_dim: int = 64,
        loss: str | BatchLoss = "supcon",
        classifier: str = "linear",
        loss_weight: float = 0.1,
        pooling: str = "flatten",
        bottleneck: int = 0,
        hidden_units: int = 128,
        dropout: float = 0.0,
        layer_norm: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not loss_weight >= 0:
            raise ValueError(f"Expected loss_weight >= 0. Received: loss_weight={loss_weight}")
        self.loss = loss
        self.contrastive = _as_loss(loss, num_classes)
        of_proxies = isinstance(self.contrastive, ProxyLoss)
        self.num_classes = num_classes
        self.embedding_dim = embedding_dim
        self.classifier = classifier
        self.loss_weight = loss_weight
        self.pooling = pooling
        self.bottleneck = bottleneck
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.layer_norm = layer_norm
        self.design = EmbeddingDesign(
            num_classes,
            embedding_dim,
            classifier,
            self.contrastive.proxies_per_class if of_proxies else 0,
            pooling,
            bottleneck,
            hidden_units,
            dropout,
            layer_norm,
            data_format,
            dtype=self.dtype_policy,
            name="design",
        )
        self.data_format = self.design.data_format
        self.metric_outputs = self.class_logits = num_classes
        #: Where the embedding begins in the outputs.
        self._embedding_start = self.design.units - embedding_dim

    def default_loss(self) -> keras.losses.Loss:
        end = self._embedding_start
        of_proxies = isinstance(self.contrastive, ProxyLoss)
        start, stop = (self.num_classes, end) if of_proxies else (end, self.design.units)
        return ContrastiveCrossEntropy(
            self.num_classes, self.contrastive, start, stop, self.loss_weight
        )

    def default_metrics(self) -> list[keras.metrics.Metric]:
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        return [MaskedMetric(SlicedMetric(accuracy, 0, self.num_classes))]

    @property
    def primary_metric(self) -> tuple[str, str]:
        """The accuracy, to be maximised."""
        return "accuracy", "max"

    def decode_tensors(self, outputs: Any) -> dict[str, Any]:
        """Takes the outputs apart.

        Args:
            outputs: The head's outputs, of shape `(samples, outputs)`.

        Returns:
            `"label"`, the likeliest class, int32 of shape `(samples,)`; `"probability"` of all
            classes, float32 of shape `(samples, num_classes)`; and `"embedding"`, of unit
            length, float32 of shape `(samples, embedding_dim)`.
        """
        return {
            **decode_logits(outputs[:, : self.num_classes]),
            "embedding": outputs[:, self._embedding_start :],
        }

    def predictions(self, outputs: Any) -> Any:
        """Returns the probabilities of the classes, of shape `(batch, num_classes)`."""
        return keras.ops.softmax(outputs[:, : self.num_classes], axis=-1)

    def validate_labels(self, y: Any, task: str | None = None) -> None:
        check_classes(y, self.num_classes, task or self.name)

    @classmethod
    def search_space(cls) -> dict[str, Any]:
        return {
            "loss": Choice(["supcon", "soft_supcon", "rank_n_contrast", "cosface", "proxy_anchor"]),
            "loss_weight": Float(0.05, 1.0, log=True),
            "classifier": Choice(list(CLASSIFIERS)),
            "embedding_dim": Choice([32, 64, 128]),
            "pooling": Choice(["average", "flatten", "attention"]),
            "bottleneck": Choice([0, 16, 32]),
            "hidden_units": Choice([0, 128, 256, 512]),
            "dropout": Float(0.0, 0.5),
            "layer_norm": Boolean(),
        }

    def get_config(self) -> dict[str, Any]:
        named = isinstance(self.loss, str)
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "embedding_dim": self.embedding_dim,
            "loss": self.loss if named else keras.saving.serialize_keras_object(self.loss),
            "classifier": self.classifier,
            "loss_weight": self.loss_weight,
            "pooling": self.pooling,
            "bottleneck": self.bottleneck,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "layer_norm": self.layer_norm,
            "data_format": self.data_format,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ContrastiveHead:
        config = dict(config)
        if not isinstance(config["loss"], str):
            config["loss"] = keras.saving.deserialize_keras_object(config["loss"])
        return cls(**config)


def _as_loss(loss: Any, num_classes: int) -> BatchLoss:
    if isinstance(loss, BatchLoss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(
            f"Expected loss to be one of {list(LOSSES)}, or a BatchLoss. Received: {loss!r}"
        )
    return LOSSES[loss](num_classes)
