"""Cross-entropy and a contrastive loss, of parts of the same outputs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.losses.contrastive._pairs import mean_over
from mtlkit.losses.masked import BatchLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class ContrastiveCrossEntropy(BatchLoss):
    """Cross-entropy of logits, plus a contrastive loss of other outputs beside them.

    `L = CE(outputs[:, :num_classes]) + loss_weight contrastive(outputs[:, start:stop])`, both
    of the labelled samples alone. It is how `mtlkit.heads.ContrastiveHead` is trained.

    Args:
        num_classes: Number of logits, the first of the outputs.
        contrastive: A `BatchLoss` of embeddings, or of similarities to proxies.
        start: The first output that the contrastive loss reads.
        stop: The first output after these.
        loss_weight: Weight of the contrastive loss.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Call arguments:
        y_true: Labels of shape `(batch,)` or `(batch, 1)`; -1 where missing.
        y_pred: Outputs of shape `(batch, outputs)`, computed with in float32.

    Raises:
        ValueError: If `contrastive` is not a `BatchLoss`, `loss_weight` is negative, or
            `start` and `stop` are not in order.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import ContrastiveCrossEntropy, NTXent

        loss = ContrastiveCrossEntropy(2, NTXent(), start=2, stop=5, loss_weight=0.5)
        value = loss(np.array([0, 0, 1]), np.ones((3, 5)))
        assert abs(float(value) - 1.5 * np.log(2)) < 1e-5
        ```
    """

    def __init__(
        self,
        num_classes: int,
        contrastive: BatchLoss,
        start: int,
        stop: int,
        loss_weight: float = 0.5,
        name: str | None = "contrastive_cross_entropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if not isinstance(contrastive, BatchLoss):
            raise ValueError(
                f"Expected contrastive to be a mtlkit BatchLoss. Received: {contrastive!r}"
            )
        if not 0 <= start < stop:
            raise ValueError(f"Expected 0 <= start < stop. Received: start={start}, stop={stop}")
        if not loss_weight >= 0:
            raise ValueError(f"Expected loss_weight >= 0. Received: loss_weight={loss_weight}")
        self.num_classes = num_classes
        self.contrastive = contrastive
        self.start = start
        self.stop = stop
        self.loss_weight = loss_weight

    def of_batch(self, labels: Any, outputs: Any, weight: Any, present: Any) -> Any:
        outputs = ops.where(present[:, None], outputs, ops.zeros_like(outputs))
        classes = ops.cast(ops.reshape(labels, (-1,)), "int32")
        losses = ops.sparse_categorical_crossentropy(
            classes, outputs[:, : self.num_classes], from_logits=True
        )
        contrasted = outputs[:, self.start : self.stop]
        contrastive = self.contrastive.of_batch(labels, contrasted, weight, present)
        return mean_over(losses, weight, present) + self.loss_weight * contrastive

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "contrastive": keras.saving.serialize_keras_object(self.contrastive),
            "start": self.start,
            "stop": self.stop,
            "loss_weight": self.loss_weight,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ContrastiveCrossEntropy:
        config = dict(config)
        config["contrastive"] = keras.saving.deserialize_keras_object(config["contrastive"])
        return cls(**config)
