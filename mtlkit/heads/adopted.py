"""The head of an adopted model: the layers that one output has for itself."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from mtlkit.heads._adopted_labels import KINDS, check_labels, width
from mtlkit.heads.head import Head
from mtlkit.losses.masked import MaskedLoss
from mtlkit.metrics.masked import MaskedMetric


@keras.saving.register_keras_serializable(package="mtlkit")
class AdoptedHead(Head):
    """A functional `keras.Model` as a head: what `MultiTaskModel.from_keras` makes of an output.

    The layers and weights are those of the graph; nothing is added or cast. The kind of
    label says what the layers alone do not:

    | kind | labels | loss | decoded |
    | --- | --- | --- | --- |
    | `"classification"` | classes | sparse categorical cross-entropy | `"label"`, `"probability"` |
    | `"one_hot"` | one-hot rows | categorical cross-entropy | `"label"`, `"probability"` |
    | `"binary"` | 0 or 1 | binary cross-entropy | `"label"`, `"probability"` of both |
    | `"multi_label"` | rows of 0 and 1 | binary cross-entropy | `"labels"`, `"probability"` |
    | `"regression"` | numbers | mean squared error | `"value"` |
    | `"unchecked"` | what the loss takes | mean squared error | `"value"` |

    A label is missing as a whole: -1 (integers) or NaN (floating point), or a row of these.

    Args:
        graph: The model, from one feature, or a list of them, to one output.
        kind: The kind of label.
        from_logits: Whether classes or labels are predicted as logits rather than
            probabilities.
        loss: Another loss, as in `keras.Model.compile`. `None`: that of the kind.
        metrics: Other metrics, each a Keras metric, a function or a name. `None`: those of
            the kind.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        That of the graph.

    Output shape:
        That of the graph.

    Raises:
        ValueError: If the graph is not a functional model of one output, or does not fit
            the kind.

    Example:
        ```python
        import keras

        import mtlkit as mtl

        feature = keras.Input((16,))
        graph = keras.Model(feature, keras.layers.Dense(10, activation="softmax")(feature))
        head = mtl.heads.AdoptedHead(graph, "classification")
        model = mtl.MultiTaskModel(
            keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="relu")]),
            [mtl.Task("species", head)],
        )
        ```
    """

    def __init__(
        self,
        graph: keras.Model,
        kind: str,
        from_logits: bool = False,
        loss: Any = None,
        metrics: list[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # The layers cast for themselves, where they did so before.
        super().__init__(**{"autocast": False, **kwargs})
        if not isinstance(graph, keras.Model) or len(getattr(graph, "outputs", None) or []) != 1:
            raise ValueError(
                "Expected graph to be a functional keras.Model of one output. "
                f"Received: graph={graph!r}"
            )
        if kind not in KINDS:
            raise ValueError(f"Expected kind to be one of {list(KINDS)}. Received: kind={kind!r}")
        self.graph = graph
        self.kind = kind
        self.from_logits = from_logits
        # Behind an object: Keras would take metrics in a list for those of the layer.
        self._given = SimpleNamespace(loss=loss, metrics=None if metrics is None else list(metrics))
        self._check_width()
        # Masks are tensors of the graph, read where they were read.
        self.supports_masking = True

    @property
    def loss(self) -> Any:
        """The loss that was given, or `None`."""
        return self._given.loss

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of a batch of outputs."""
        return tuple(self.graph.outputs[0].shape)

    def build(self, input_shape: Any) -> None:
        """Does nothing: the graph is built."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        # Not by __call__, which warns that the graph drops the mask: it reads it as a tensor.
        return self.graph.call(inputs, training=training)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        return self.graph.compute_output_spec(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.graph.compute_output_shape(input_shape)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Adds no mask: outputs have the one that the graph gives them."""
        return None

    def default_loss(self) -> keras.losses.Loss:
        return MaskedLoss(
            KINDS[self.kind].loss(self.from_logits) if self.loss is None else self.loss
        )

    def default_metrics(self) -> list[keras.metrics.Metric]:
        if self._given.metrics is None:
            found = KINDS[self.kind].metrics(self.from_logits)
        else:
            found = [self.as_metric(metric) for metric in self._given.metrics]
        return [MaskedMetric(metric) for metric in found]

    @property
    def primary_metric(self) -> tuple[str, str]:
        """The first accuracy or error among the metrics, else that of the kind, or the loss."""
        for metric in self.default_metrics():
            for part, direction in _DIRECTIONS.items():
                if part in metric.name:
                    return metric.name, direction
        return KINDS[self.kind].primary

    def decode_tensors(self, outputs: Any) -> dict[str, Any]:
        """Turns outputs into what they mean.

        Args:
            outputs: Outputs of shape `(samples, ...)`.

        Returns:
            Arrays by name, as in the table above. `"label"` is int32, of the shape of the
            outputs without the last axis.
        """
        return KINDS[self.kind].decode(outputs, self.from_logits)

    def predictions(self, outputs: Any) -> Any:
        """Returns probabilities, or values, of shape `(batch, numbers)`."""
        return super().predictions(KINDS[self.kind].seen(outputs, self.from_logits))

    def validate_labels(self, y: Any, task: str | None = None) -> None:
        name = task or self.name
        cure = (
            "\nIf the labels are of another kind, say so: MultiTaskModel.from_keras(model, "
            f'tasks={{{name!r}: {{"kind": "{_other_kind(self.kind, np.asarray(y))}"}}}})'
        )
        soft = self.loss is not None
        check_labels(y, self.kind, self.output_shape, name, soft, cure)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        given = self._given.metrics
        return {
            **super().get_config(),
            "graph": serialize(self.graph),
            "kind": self.kind,
            "from_logits": self.from_logits,
            "loss": serialize(self.loss),
            "metrics": None if given is None else [serialize(metric) for metric in given],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AdoptedHead:
        deserialize = keras.saving.deserialize_keras_object
        # A copy: Keras empties the config of a functional model as it reads it.
        config = {**config, "graph": deserialize(deepcopy(config["graph"]))}
        config["loss"] = deserialize(config["loss"])
        if config["metrics"] is not None:
            config["metrics"] = [deserialize(metric) for metric in config["metrics"]]
        return cls(**config)

    def as_metric(self, metric: Any) -> Any:
        """Returns a new metric; `"accuracy"` is the one that Keras takes for such labels."""
        if metric in ("accuracy", "acc"):
            if width(self.output_shape) == 1:
                return keras.metrics.BinaryAccuracy(name=metric)
            if self.kind == "unchecked":
                raise ValueError(
                    "Expected a metric that says what labels are, such as "
                    "keras.metrics.SparseCategoricalAccuracy() for classes or "
                    "keras.metrics.CategoricalAccuracy() for one-hot rows, since the loss does "
                    f"not tell. Received: {metric!r}"
                )
            return KINDS[self.kind].accuracy(name=metric)
        if isinstance(metric, keras.metrics.Metric):
            return type(metric).from_config(metric.get_config())
        return metric

    def _check_width(self) -> None:
        units = width(self.output_shape)
        several = self.kind in ("classification", "one_hot")
        if (several and units < 2) or (self.kind == "binary" and units != 1):
            wanted = "at least two outputs" if several else "one output"
            raise ValueError(
                f"Expected {wanted} for kind={self.kind!r}. "
                f"Received: outputs of shape {self.output_shape}"
            )


#: Parts of names of metrics, and whether more is better.
_DIRECTIONS = {
    "acc": "max",
    "auc": "max",
    "f1": "max",
    "iou": "max",
    "mae": "min",
    "mse": "min",
    "error": "min",
    "rmse": "min",
}


def _other_kind(kind: str, y: np.ndarray) -> str:
    """The kind that labels look like, for an error."""
    if kind == "classification":
        return "one_hot" if y.ndim > 1 and y.shape[-1] > 1 else "regression"
    if kind == "one_hot":
        return "classification"
    return "regression" if kind in ("binary", "multi_label") else "unchecked"
