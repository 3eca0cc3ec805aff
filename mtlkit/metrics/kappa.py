"""Agreement of ordered classes, corrected for chance."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit._counts import check_count


@keras.saving.register_keras_serializable(package="mtlkit")
class QuadraticKappa(keras.metrics.Metric):
    """Cohen's kappa with quadratic weights: 1 where all agree, 0 by chance, negative below it.

    With the confusion matrix `O` and the one that is expected of the same classes, drawn
    independently, `E`, it is `1 - sum_ij (i - j)^2 O_ij / sum_ij (i - j)^2 E_ij`. The matrix
    grows over the batches of an epoch. NaN where labels and predictions are all of one class.

    Args:
        num_classes: Number of classes.
        decoder: What makes classes of predictions: an object with a method `position(y_pred)`.
            `None`: predictions are logits of the classes.
        name: Name of the metric.
        **kwargs: Passed on to `keras.metrics.Metric`.

    Raises:
        ValueError: If `num_classes < 2`.

    Example:
        ```python
        import numpy as np
        from mtlkit.metrics import QuadraticKappa

        metric = QuadraticKappa(num_classes=3)
        metric.update_state(np.array([0, 1, 2, 2]), np.eye(3)[[0, 1, 2, 2]])
        assert float(metric.result()) == 1.0
        ```

    Reference:
        [Cohen, Weighted kappa, 1968](https://doi.org/10.1037/h0026256)
    """

    def __init__(
        self, num_classes: int, decoder: Any = None, name: str = "kappa", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        check_count("num_classes", num_classes, 2)
        self.num_classes = num_classes
        self.decoder = decoder
        shape = (num_classes, num_classes)
        self.confusion = self.add_variable(shape=shape, initializer="zeros", name="confusion")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch.

        Args:
            y_true: Classes of shape `(batch,)` or `(batch, 1)`.
            y_pred: Predictions of shape `(batch, ...)`.
            sample_weight: Weights of shape `(batch,)`, or `None` for ones.
        """
        if self.decoder is None:
            predicted = ops.argmax(y_pred, axis=-1)
        else:
            predicted = ops.round(self.decoder.position(y_pred))
        true, found = (
            ops.one_hot(ops.cast(ops.reshape(one, (-1,)), "int32"), self.num_classes)
            for one in (y_true, predicted)
        )
        true, found = ops.cast(true, self.dtype), ops.cast(found, self.dtype)
        if sample_weight is not None:
            true = true * ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1))
        self.confusion.assign_add(ops.matmul(ops.transpose(true), found))

    def result(self) -> Any:
        ranks = np.arange(self.num_classes, dtype="float32")
        apart = ops.convert_to_tensor((ranks[:, None] - ranks) ** 2)
        seen = ops.cast(self.confusion, "float32")
        total = ops.sum(seen)
        of_labels, of_predictions = ops.sum(seen, axis=1), ops.sum(seen, axis=0)
        expected = ops.sum(apart * of_labels[:, None] * of_predictions[None, :]) / total
        return 1 - ops.sum(apart * seen) / expected  # 0 / 0 is NaN

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "decoder": keras.saving.serialize_keras_object(self.decoder),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QuadraticKappa:
        decoder = keras.saving.deserialize_keras_object(config["decoder"])
        return cls(**{**config, "decoder": decoder})
