"""The frames of losses that compare samples with learned proxies of the classes."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from keras import ops

from mtlkit.losses.contrastive._pairs import mean_over
from mtlkit.losses.masked import BatchLoss


class ProxyLoss(BatchLoss):
    """A loss of the cosines of samples and proxies, as `mtlkit.layers.CosineProxies` gives.

    They have the shape `(batch, classes * proxies_per_class)`, those of one class side by side.
    A batch need not hold two samples of a class, so small batches will do. Samples without a
    label take no part. Subclasses define `of_similarities`.

    Args:
        name: Name of the loss. `None`: made from that of the class.
        **kwargs: Passed on to `keras.losses.Loss`.

    Attributes:
        proxies_per_class: How many proxies each class has.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import NormFace, ProxyLoss

        loss = NormFace()
        assert isinstance(loss, ProxyLoss) and loss.proxies_per_class == 1
        cosines = np.array([[1.0, -1.0], [1.0, -1.0]])
        assert float(loss(np.array([0, -1]), cosines)) < 1e-6
        ```
    """

    proxies_per_class: int = 1

    def of_batch(self, labels: Any, outputs: Any, weight: Any, present: Any) -> Any:
        classes, rest = divmod(outputs.shape[-1], self.proxies_per_class)
        if rest:
            raise ValueError(
                f"Expected cosines with {self.proxies_per_class} proxies of each class. "
                f"Received: y_pred of shape {tuple(outputs.shape)}"
            )
        labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
        own = ops.one_hot(labels, classes, dtype="float32")
        similarities = ops.where(present[:, None], outputs, ops.zeros_like(outputs))
        return self.of_similarities(own, similarities, weight, present)

    @abstractmethod
    def of_similarities(self, own: Any, similarities: Any, weight: Any, present: Any) -> Any:
        """Computes the loss of a batch.

        Args:
            own: The class of each sample, one-hot, of shape `(batch, classes)`, float32.
            similarities: Cosines of shape `(batch, classes * proxies_per_class)`, float32.
            weight: Sample weights of shape `(batch,)`, float32.
            present: Which samples have a label, of shape `(batch,)`.

        Returns:
            A scalar, float32.
        """


class ProxySoftmax(ProxyLoss):
    """The cross-entropy of the softmax of logits that are made from cosines.

    The value is the mean over the labelled samples, times their weights, and 0 with zero
    gradient where a batch has none. Subclasses define `logits`.

    Args:
        name: Name of the loss. `None`: made from that of the class.
        **kwargs: Passed on to `keras.losses.Loss`.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses.contrastive import ProxySoftmax

        class Plain(ProxySoftmax):
            def logits(self, own, similarities):
                return similarities

        assert abs(float(Plain()(np.array([0]), np.zeros((1, 4)))) - np.log(4)) < 1e-6
        ```
    """

    @abstractmethod
    def logits(self, own: Any, similarities: Any) -> Any:
        """Turns cosines into logits of shape `(batch, classes)`; arguments as above."""

    def of_similarities(self, own: Any, similarities: Any, weight: Any, present: Any) -> Any:
        log_probability = ops.log_softmax(self.logits(own, similarities), axis=-1)
        return mean_over(-ops.sum(own * log_probability, axis=-1), weight, present)
