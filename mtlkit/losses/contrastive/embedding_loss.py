"""The frame of losses that compare the embeddings of a batch with each other."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from keras import ops

from mtlkit.losses.masked import BatchLoss


class EmbeddingLoss(BatchLoss):
    """A loss of embeddings `(batch, dim)`, of which samples without a label have no part.

    Such samples are neither anchor, nor positive, nor negative; their embeddings are read as
    zero, so that even what is not finite there does no harm. Subclasses define
    `of_embeddings`.

    Args:
        name: Name of the loss. `None`: made from that of the class.
        **kwargs: Passed on to `keras.losses.Loss`.

    Example:
        ```python
        import numpy as np
        from keras import ops
        from mtlkit.losses.contrastive import EmbeddingLoss

        class Spread(EmbeddingLoss):
            def of_embeddings(self, labels, embeddings, weight, present):
                return ops.mean(weight * ops.sum(ops.square(embeddings), axis=-1))

        assert float(Spread()(np.array([0, -1]), np.ones((2, 3)))) == 1.5
        ```
    """

    def of_batch(self, labels: Any, outputs: Any, weight: Any, present: Any) -> Any:
        embeddings = ops.where(present[:, None], outputs, ops.zeros_like(outputs))
        return self.of_embeddings(ops.reshape(labels, (-1,)), embeddings, weight, present)

    @abstractmethod
    def of_embeddings(self, labels: Any, embeddings: Any, weight: Any, present: Any) -> Any:
        """Computes the loss of a batch.

        Args:
            labels: Labels of shape `(batch,)`, zero where missing.
            embeddings: Embeddings of shape `(batch, dim)`, float32, as they came in.
            weight: Sample weights of shape `(batch,)`, float32.
            present: Which samples have a label, of shape `(batch,)`.

        Returns:
            A scalar, float32.
        """
