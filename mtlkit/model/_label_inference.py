"""What an output predicts, told by its loss, or by its last layer."""

from __future__ import annotations

import functools
from typing import Any

import keras

from mtlkit._warnings import warn
from mtlkit.backbones._graph import is_graph, node_of
from mtlkit.heads._adopted_labels import KINDS, width
from mtlkit.losses.masked import FunctionLoss, MaskedLoss

#: Kinds of labels by loss, in snake case. "binary" means one label, or several.
_KINDS_OF_LOSSES = {
    "sparse_categorical_crossentropy": "classification",
    "categorical_crossentropy": "one_hot",
    "categorical_focal_crossentropy": "one_hot",
    "binary_crossentropy": "binary",
    "binary_focal_crossentropy": "binary",
    "mean_squared_error": "regression",
    "mean_absolute_error": "regression",
    "mean_absolute_percentage_error": "regression",
    "mean_squared_logarithmic_error": "regression",
    "huber": "regression",
    "log_cosh": "regression",
    "poisson": "regression",
    "cosine_similarity": "regression",
}
#: Kinds that are predicted as probabilities, or as logits.
_OF_CLASSES = ("classification", "one_hot", "binary", "multi_label")
#: Operations that do not change what numbers mean.
_PASSING = ("Reshape", "Flatten", "Squeeze", "ExpandDims", "Cast", "Identity")


def resolved_loss(name: str, loss: Any, kind: str | None, output: Any) -> Any:
    """A loss as an object or a function; `"crossentropy"` is the one that fits the labels."""
    if isinstance(loss, str) and loss.lower() in ("crossentropy", "ce"):
        units = width(tuple(output.shape))
        kind = kind or ("classification" if units > 1 else "binary")
        return KINDS[kind].loss(False)
    try:
        loss = keras.losses.get(loss)
    except ValueError as error:
        raise ValueError(
            f"Task {name!r}: expected a loss that Keras knows. Received: {error}"
        ) from error
    return loss.loss if isinstance(loss, MaskedLoss) else loss


def infer(name: str, output: Any, loss: Any, kind: str | None) -> tuple[str, bool]:
    """Tells the kind of an output's labels, and whether it predicts logits."""
    activation = last_activation(output)
    units = width(tuple(output.shape))
    if loss is not None:
        of_loss = kind_of_loss(loss, units)
        if kind in _OF_CLASSES and of_loss in _OF_CLASSES and kind != of_loss:
            raise ValueError(
                f"Task {name!r}: expected a loss for kind={kind!r}, such as "
                f"{type(KINDS[kind].loss(True)).__name__}. Received: a loss for {of_loss!r}, "
                f"{loss_name(loss)}\n{_line(name, _loss_line(kind))}"
            )
        kind = kind or of_loss
        # A loss of the user's own does not show it, so the last layer does.
        from_logits = from_logits_of(loss)
        if from_logits is None:
            return kind, activation not in ("softmax", "sigmoid")
        _warn_of_mismatch(name, kind, from_logits, activation)
        return kind, from_logits
    kind = kind or _kind_of_activation(name, output, activation, units)
    if kind in _OF_CLASSES and activation not in ("softmax", "sigmoid", "linear"):
        raise ValueError(
            f"Task {name!r}: expected a loss, since the last layer does not show whether it "
            f"gives probabilities or logits. Received: kind={kind!r}, outputs of "
            f"{_layer_text(output)}\n{_line(name, _loss_line(kind))}"
        )
    return kind, activation == "linear"


def last_activation(output: Any) -> str | None:
    """Name of the function that an output went through last; `None` if it is not known."""
    while True:
        node = node_of(output)
        operation = node.operation
        if is_graph(operation):
            output = operation.outputs[node.outputs.index(output)]
            continue
        if isinstance(operation, keras.layers.TimeDistributed):
            operation = operation.layer
        name = type(operation).__name__
        if name == "Softmax":
            return "softmax" if getattr(operation, "axis", -1) in (-1, _last_axis(output)) else None
        if name == "Sigmoid":
            return "sigmoid"
        activation = getattr(getattr(operation, "activation", None), "__name__", None)
        passes = name in _PASSING or (name == "Activation" and activation == "linear")
        if not passes or not node.input_tensors:
            return activation if isinstance(operation, keras.layers.Layer) else None
        output = node.input_tensors[0]


def _last_axis(tensor: Any) -> int:
    return len(tensor.shape) - 1


def _kind_of_activation(name: str, output: Any, activation: str | None, units: int) -> str:
    if activation == "softmax" and units > 1:
        return "classification"
    if activation == "sigmoid":
        return "binary" if units == 1 else "multi_label"
    if units == 1 and activation not in ("softmax", None):
        return "regression"
    kind = "classification" if units > 1 else "regression"
    raise ValueError(
        f"Task {name!r}: expected to know what the output predicts, but neither a loss nor the "
        f"last layer tells. Received: outputs of shape {tuple(output.shape)} from "
        f"{_layer_text(output)}\n{_line(name, _kind_entry(kind))}\nor another kind out of "
        f"{list(KINDS)[:-1]}; or compile the model with its losses before."
    )


def _kind_entry(kind: str) -> str:
    """The entry of a dict that names the kind."""
    return f'"kind": "{kind}"'


def _loss_line(kind: str) -> str:
    loss = type(KINDS[kind].loss(True)).__name__
    return f'"kind": "{kind}", "loss": keras.losses.{loss}(from_logits=True)'


def _line(name: str, entry: str) -> str:
    return f"Say so: MultiTaskModel.from_keras(model, tasks={{{name!r}: {{{entry}}}}})"


def _layer_text(output: Any) -> str:
    operation = node_of(output).operation
    return f"{type(operation).__name__} {operation.name!r} (activation: {last_activation(output)})"


def kind_of_loss(loss: Any, units: int) -> str:
    kind = _KINDS_OF_LOSSES.get(loss_name(loss), "unchecked")
    if kind == "binary" and units > 1:
        return "multi_label"
    return "unchecked" if kind in ("classification", "one_hot") and units < 2 else kind


def _function(loss: Any) -> Any:
    """The function of a loss, where it has one."""
    if isinstance(loss, FunctionLoss):
        loss = loss.function
    return loss.func if isinstance(loss, functools.partial) else loss


def loss_name(loss: Any) -> str:
    """Name of a loss of Keras's own; an empty one for any other."""
    loss = _function(loss)
    named = loss if hasattr(loss, "__name__") else type(loss)
    if not str(getattr(named, "__module__", "")).startswith("keras."):
        return ""
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in named.__name__).lstrip("_")
    return loss_name(loss.fn) if name == "loss_function_wrapper" else name


def from_logits_of(loss: Any) -> bool | None:
    """Whether a loss takes logits; `None` for one that is not known."""
    if not loss_name(loss):
        return None
    if isinstance(loss, functools.partial):
        return bool(loss.keywords.get("from_logits", False))
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    return bool(config.get("from_logits", False))


def _warn_of_mismatch(name: str, kind: str, from_logits: bool, activation: str | None) -> None:
    if kind not in _OF_CLASSES:
        return
    if from_logits and activation in ("softmax", "sigmoid"):
        found = f"the loss takes logits, but the last layer has activation {activation!r}"
        cure = "from_logits=False"
    elif not from_logits and activation == "linear":
        found, cure = (
            "the loss takes probabilities, but the last layer is linear",
            "from_logits=True",
        )
    else:
        return
    warn(
        f"Task {name!r}: {found}, so that it learns something else than it seems; give the loss "
        f"{cure}. It is adopted as it is."
    )
