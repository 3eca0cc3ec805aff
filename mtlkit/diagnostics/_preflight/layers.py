"""Layers that cannot learn, or hardly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit.backbones._graph import node_of
from mtlkit.diagnostics._preflight._problem import Problem
from mtlkit.diagnostics._preflight._program import Program
from mtlkit.diagnostics.thresholds import (
    CONSTANT_OUTPUT,
    DEAD_UNITS,
    LARGE_DROPOUT,
    MOST_DEAD_UNITS,
    SATURATED_UNITS,
)

#: Activations that give exactly 0, and no gradient, for much of what they read.
_RECTIFIERS = ("relu", "relu6")
#: The limits of activations that flatten out.
_LIMITS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "hard_sigmoid": (0.0, 1.0)}
#: Layers whose weights are a matrix.
_MATRICES = ("Dense", "Conv1D", "Conv2D", "Conv3D")
#: Operations that compute something linear, or hand numbers on.
_LINEAR = (
    *("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D"),
    *("SeparableConv1D", "SeparableConv2D", "Conv1DTranspose", "Conv2DTranspose"),
    *("Flatten", "Reshape", "Dropout", "Activation", "AveragePooling1D", "AveragePooling2D"),
    *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "Permute", "Identity"),
    *("ZeroPadding1D", "ZeroPadding2D", "Cropping2D", "UpSampling2D"),
)


def frozen(program: Program) -> Iterator[Problem]:
    """Parts that are not trained."""
    model = program.model
    if not model.weights:
        return
    if not model.trainable_weights:
        yield Problem(
            "frozen", "error", "No weight is trained.", "model.trainable = True; model.compile(...)"
        )
        return
    total = sum(int(np.prod(w.shape)) for w in model.weights)
    held = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if layer.weights and not layer.trainable and not list(layer._flatten_layers())[1:]
    ]
    count = sum(int(np.prod(w.shape)) for layer in held for w in layer.weights)
    if count:
        names = ", ".join(layer.name for layer in held[:3]) + (", ..." if len(held) > 3 else "")
        yield Problem(
            "frozen",
            "hint",
            f"{100 * count / total:.0f} % of the weights are frozen ({names}).",
            f"model.get_layer({_outermost(model, held[0]).name!r}).trainable = True; "
            "model.compile(...)",
            layer=held[0].name,
            value=count / total,
        )


def _outermost(model: Any, layer: Any) -> Any:
    """The layer of a model that a layer is in, which `get_layer` finds."""
    return next(one for one in model.layers if layer in one._flatten_layers())


def not_adapted(program: Program) -> Iterator[Problem]:
    """Layers that normalise by statistics which they were never given."""
    for layer in program.model._flatten_layers(include_self=False):
        if not isinstance(layer, keras.layers.Normalization) or layer.input_mean is not None:
            continue
        mean, variance = (
            keras.ops.convert_to_numpy(one) for one in (layer.adapt_mean, layer.adapt_variance)
        )
        if not mean.any() and (variance == 1).all():
            yield Problem(
                "not_adapted",
                "hint",
                f"{layer.name!r} was not adapted, so it hands its inputs on as they are.",
                f"model.get_layer({_outermost(program.model, layer).name!r}).adapt(x)",
                layer=layer.name,
            )


def same_weights(program: Program) -> Iterator[Problem]:
    """Units that start out alike, and so stay alike."""
    for layer in program.model._flatten_layers(include_self=False):
        kernel = getattr(layer, "kernel", None)
        if kernel is None or not layer.trainable or len(kernel.shape) < 2 or kernel.shape[-1] < 2:
            continue
        values = keras.ops.convert_to_numpy(kernel)
        if (values == values[..., :1]).all() and not _gives_output(program, layer):
            yield Problem(
                "same_weights",
                "error",
                f"All {kernel.shape[-1]} units of {layer.name!r} have the same weights, so they "
                "learn the same.",
                'kernel_initializer="glorot_uniform"',
                layer=layer.name,
            )


def constant_output(program: Program) -> Iterator[Problem]:
    """Outputs that are the same for every sample of the batch, and where that begins."""
    if len(program.rows) < 2:
        return
    values = {id(node): (given, said) for node, given, said in program.activations}
    for out in program.outputs:
        if out.tensor is None or (out.activation == "softmax" and out.units == 1):
            continue  # said by the last activation
        predicted = program.predicted.get(out.name)
        if predicted is None or _varies(predicted) or _varies_in_training(program, out.name):
            continue
        if _varies_after_steps(program, out.name):
            continue  # weights that begin at zero
        node = node_of(out.tensor)
        while node.input_tensors and id(node) in values and not _varies(values[id(node)][0]):
            node = node_of(node.input_tensors[0])
        yield Problem(
            "constant_output",
            "error",
            f"{out.name!r} is the same for all {len(program.rows)} samples, from "
            f"{node.operation.name!r} on.",
            task=out.name,
            layer=node.operation.name,
        )


def _varies_in_training(program: Program, name: str) -> bool:
    """Whether an output varies where batches are normalised by their own statistics."""
    batch_norm = keras.layers.BatchNormalization
    if not any(isinstance(layer, batch_norm) for layer in program.model._flatten_layers()):
        return False
    return _varies(program.predicted_in_training[name])


def _varies_after_steps(program: Program, name: str) -> bool:
    """Whether an output varies once the model has been trained for a few steps."""
    if not program.has_losses or program.rate is None:
        return False
    return _varies(program.steps()[1][name])


def _varies(values: NDArray) -> bool:
    flat = values.reshape(len(values), -1).astype("float64")
    scale = np.abs(flat).max()
    return bool(np.ptp(flat, axis=0).max() > CONSTANT_OUTPUT * scale) if scale > 0 else False


def dead_units(program: Program) -> Iterator[Problem]:
    """Units that are 0 for every sample, or at the limit of their activation."""
    for node, _, values in program.activations:
        name = _activation(node.operation)
        if name in _RECTIFIERS and values.ndim > 1:
            alive = np.any((values > 0).reshape(-1, values.shape[-1]), axis=0)
            share = float(1 - alive.mean())
            if share >= DEAD_UNITS and len(alive) > 1:
                yield Problem(
                    "dead_units",
                    "error" if share == 1 else "warning" if share >= MOST_DEAD_UNITS else "hint",
                    f"{100 * share:.0f} % of the units of {node.operation.name!r} are 0 for all "
                    f"{len(values)} samples: they have no gradient.",
                    'kernel_initializer="he_normal", activation="leaky_relu"',
                    layer=node.operation.name,
                    value=share,
                )
        elif name in _LIMITS and values.size and not _gives_output(program, node.operation):
            low, high = _LIMITS[name]
            margin = 0.01 * (high - low)
            share = float(np.mean((values < low + margin) | (values > high - margin)))
            if share > SATURATED_UNITS:
                yield Problem(
                    "saturated_units",
                    "warning",
                    f"{100 * share:.0f} % of the values of {node.operation.name!r} are at the "
                    f"limits of its {name}, where it is flat.",
                    'kernel_initializer="glorot_uniform"  # and inputs of spread 1',
                    layer=node.operation.name,
                    value=share,
                )


def _activation(operation: Any) -> str:
    """Name of the activation of an operation, or of the layer that is one; may be empty."""
    named = {"ReLU": "relu", "Softmax": "softmax"}.get(type(operation).__name__)
    return named or str(getattr(getattr(operation, "activation", None), "__name__", ""))


def _gives_output(program: Program, operation: Any) -> bool:
    """Whether an operation gives an output."""
    return any(
        out.tensor is not None and node_of(out.tensor).operation is operation
        for out in program.outputs
    )


def no_nonlinearity(program: Program) -> Iterator[Problem]:
    """Layers with weights that follow one another without anything between them."""
    weighted = [n for n in program.nodes if type(n.operation).__name__ in _MATRICES]
    if len(weighted) < 2:
        return
    bent = any(
        _bends(n.operation) for n in program.nodes if not _gives_output(program, n.operation)
    )
    for node in weighted:
        before = _linear_before(node)
        if before is not None:
            yield Problem(
                "no_nonlinearity",
                "hint" if bent else "warning",
                f"{before.name!r} has no activation, so that {before.name!r} and "
                f"{node.operation.name!r} are a single linear layer.",
                f'keras.layers.{type(before).__name__}(..., activation="relu")',
                layer=before.name,
            )


def _bends(operation: Any) -> bool:
    """Whether an operation is not linear, by its name or by its activation."""
    linear = type(operation).__name__ in _LINEAR
    return not linear or _activation(operation) not in ("", "linear")


def _linear_before(node: Any) -> Any:
    """The layer with weights that a layer reads from by linear steps alone, or `None`."""
    while node.input_tensors and len(node.input_tensors) == 1:
        node = node_of(node.input_tensors[0])
        if node.is_input or _bends(node.operation):
            return None
        if type(node.operation).__name__ in _MATRICES:
            return node.operation
    return None


def hidden_softmax(program: Program) -> Iterator[Problem]:
    """A softmax between layers, which makes units compete."""
    for node in program.nodes:
        operation = node.operation
        if _activation(operation) != "softmax" or _gives_output(program, operation):
            continue
        if type(operation).__name__ not in (*_MATRICES, "Softmax", "Activation"):
            continue  # attention has one, which is meant
        twice = any(
            out.activation == "softmax" and _reads_only(out.tensor, node)
            for out in program.outputs
            if out.tensor is not None
        )
        where = (
            ", and the last layer applies another one."
            if twice
            else " inside of the network, so that its units compete."
        )
        yield Problem(
            "softmax_twice" if twice else "hidden_softmax",
            "error" if twice else "hint",
            f"{operation.name!r} has a softmax{where}",
            f'keras.layers.{type(operation).__name__}(..., activation="relu")',
            layer=operation.name,
        )


def _reads_only(tensor: Any, node: Any) -> bool:
    """Whether a last activation reads from a layer without weights between them."""
    last = node_of(tensor)
    while last is not node:
        if getattr(last.operation, "weights", None) or not last.input_tensors:
            return False
        last = node_of(last.input_tensors[0])
    return True


def large_dropout(program: Program) -> Iterator[Problem]:
    """Dropout that leaves hardly anything."""
    for layer in program.model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Dropout) and layer.rate >= LARGE_DROPOUT:
            yield Problem(
                "large_dropout",
                "warning",
                f"{layer.name!r} removes {100 * layer.rate:.0f} % of what it reads.",
                "keras.layers.Dropout(0.3)",
                layer=layer.name,
                value=float(layer.rate),
            )
