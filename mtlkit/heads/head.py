"""The base class of heads."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import keras
import numpy as np

from mtlkit.losses.masked import MaskedLoss

#: Stands for the last map of a backbone, whatever its name.
LAST = "last"
#: Stands for one map of each size that a backbone has, from the finest to the coarsest.
PYRAMID = "pyramid"


class Head(keras.layers.Layer, ABC):
    """A Keras layer that also knows how its task is trained, judged, read and searched.

    A head turns a feature of the backbone into the outputs of one task. It is an ordinary
    layer, at home in any `keras.Model` (as in the example), and `mtlkit.MultiTaskModel`
    only removes the wiring. To write your own, subclass it and define what a layer needs
    (`build`, `call`, `get_config`), the four abstract members below, and `decode_tensors`, or
    `decode` alone; `mtlkit.testing.LayerTestCase` checks the result. Give the last layer
    `dtype="float32"`, so that the loss keeps its digits in mixed precision. The arguments
    of the constructor are those of `keras.layers.Layer`.

    Attributes:
        default_feature: Name of the backbone's feature map that suits this head best, or names of
            several that it reads as a list, of which `LAST` is the last one; `PYRAMID`: one map of
            each size; `None`: the last one. Used where a task does not name its feature.
        metric_outputs: How many of the outputs, from the first, metrics of a user's own are
            given; `None`: all.
        class_logits: The number of classes, if these outputs are logits of classes and labels are
            classes: then metrics such as `keras.metrics.Recall()` get probabilities
            (`mtlkit.metrics.ClassMetric`). `None`: they get labels and outputs as they are.
        reads_orbit: Whether the head reads the features of the input's four quarter turns,
            stacked after the batch axis (`mtlkit.layers.RotationOrbit`).
        reads_image_size: Whether the head is called on a list that begins with the image, since
            its outputs have the image's size.

    Example:
        ```python
        import keras
        from mtlkit.heads import ClassificationHead

        features = keras.Input((8, 8, 16))
        head = ClassificationHead(num_classes=10)
        model = keras.Model(features, head(features))
        model.compile("adam", loss=head.default_loss(), metrics=head.default_metrics())
        ```
    """

    default_feature: str | tuple[str, ...] | None = None
    metric_outputs: int | None = None
    class_logits: int | None = None
    reads_orbit: bool = False
    reads_image_size: bool = False

    @abstractmethod
    def default_loss(self) -> keras.losses.Loss:
        """Returns the loss of the head's outputs, masked for missing labels."""

    @abstractmethod
    def default_metrics(self) -> list[keras.metrics.Metric]:
        """Returns new metrics for the head's outputs, masked for missing labels."""

    @property
    @abstractmethod
    def primary_metric(self) -> tuple[str, str]:
        """Name of the metric that judges the task, and its direction, `"max"` or `"min"`."""

    def decode(self, outputs: Any) -> dict[str, np.ndarray]:
        """Turns outputs into what they mean.

        Unless a head overrides this, it is what `decode_tensors` gives, as arrays.

        Args:
            outputs: The head's outputs, of shape `(samples, ...)`.

        Returns:
            NumPy arrays by name, such as `"label"`, `"probability"`, `"value"`, `"degrees"`,
            each with one entry a sample. Whole numbers are int64.
        """
        decoded = self.decode_tensors(keras.ops.convert_to_tensor(outputs))
        return {name: _as_array(tensor) for name, tensor in decoded.items()}

    def decode_tensors(self, outputs: Any) -> dict[str, Any]:
        """Turns outputs into what they mean, within a graph: `export(decode=True)` needs it.

        Args:
            outputs: The head's outputs, a tensor of shape `(batch, ...)`.

        Returns:
            Tensors by name, as those of `decode`, made by `keras.ops` alone. Whole numbers are
            int32.

        Raises:
            NotImplementedError: If the head has only a `decode` of its own.
        """
        raise NotImplementedError(
            f"Expected {type(self).__name__} to define decode_tensors(outputs), which decodes "
            "with keras.ops and can be part of a graph. Received: a head without it"
        )

    @abstractmethod
    def validate_labels(self, y: Any, task: str | None = None) -> None:
        """Checks labels before training.

        Args:
            y: Labels, one a sample; NaN or -1 where missing.
            task: Name of the task, for the message. `None`: the head's name.

        Raises:
            ValueError: If the labels do not fit the head, naming the task, what was
                expected and the offending value.
        """

    def training_loss(self, loss: Any = None) -> keras.losses.Loss:
        """Returns the loss that a task with this head is trained with.

        Args:
            loss: A loss of the user's own, as in `keras.Model.compile`. `None`: the head's.

        Returns:
            The loss, masked for missing labels. A head that trains in other units than those
            of its outputs, as `mtlkit.heads.RegressionHead` does, converts in it.
        """
        return MaskedLoss(self.default_loss() if loss is None else loss)

    @property
    def adapted(self) -> bool:
        """Whether the head has seen labels, if it needs to before training; else true."""
        return True

    def adapt(self, y: Any, sample_weight: Any = None) -> None:
        """Takes from the training labels what the head has to know before training.

        `mtlkit.MultiTaskModel.fit` calls it where `adapted` is false. Most heads need nothing.

        Args:
            y: Labels of shape `(samples, ...)`; NaN or -1 where missing.
            sample_weight: Weights, one a sample.
        """

    def predictions(self, outputs: Any) -> Any:
        """Returns what a task that is conditioned on this one sees, within the graph.

        Args:
            outputs: The head's outputs, a tensor of shape `(batch, ...)`.

        Returns:
            A tensor of shape `(batch, numbers)`: probabilities of classes, or values. Unless
            a head overrides this, its outputs.
        """
        return keras.ops.reshape(outputs, (-1, math.prod(outputs.shape[1:])))

    def given_predictions(self, predictions: Any) -> Any:
        """Returns what such a task sees of predictions that the data hold, within the graph.

        Args:
            predictions: A tensor of shape `(batch, numbers)`, as `decode` gives them:
                probabilities of classes, or values.

        Returns:
            A tensor of that shape, in the units of `predictions`. Unless a head overrides
            this, the predictions as they are.
        """
        return predictions

    @classmethod
    def search_space(cls) -> dict[str, Any]:
        """Returns what a search may try: `{argument: mtlkit.space.Choice(...), ...}`.

        Whatever a task has in the way of classes and maps, most of it should fit: a search
        rejects the points that cannot be built, and says why.
        """
        return {}


def _as_array(tensor: Any) -> np.ndarray:
    """A tensor in NumPy, writable; whole numbers as int64, whatever the backend's own are."""
    array = np.array(keras.ops.convert_to_numpy(tensor))
    return array.astype("int64") if array.dtype.kind in "iu" else array
