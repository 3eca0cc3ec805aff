"""The graph of a functional Keras model, read node by node.

Keras has no public way to walk a graph. This module is the only one that reads its records of
calls (`_keras_history`, `_inbound_nodes`), which are the same on all backends.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable
from typing import Any

import keras


def is_graph(layer: Any) -> bool:
    """Whether a layer is a functional model, or a sequential one that is built."""
    return isinstance(layer, keras.Model) and bool(getattr(layer, "inputs", None))


def node_of(tensor: Any) -> Any:
    """The node (the call of an operation) that a symbolic tensor comes from."""
    operation, index, _ = tensor._keras_history
    return operation._inbound_nodes[index]


def nodes_before(tensors: Iterable[Any], until: Iterable[Any] = ()) -> list[Any]:
    """The nodes that tensors are computed by from others, each after those that it reads from."""
    given = {id(tensor) for tensor in until}
    found: dict[int, Any] = {}
    waiting = [(node_of(x), False) for x in reversed(list(tensors)) if id(x) not in given]
    while waiting:
        node, ready = waiting.pop()
        if id(node) in found:
            continue
        if ready:
            found[id(node)] = node
            continue
        waiting.append((node, True))
        before = [x for x in reversed(node.input_tensors) if id(x) not in given]
        waiting += [(node_of(x), False) for x in before]
    return list(found.values())


def replay(
    nodes: Iterable[Any], values: dict[int, Any], training: bool | None = None
) -> dict[int, Any]:
    """Calls the operations of nodes again, on other tensors."""
    for node in nodes:
        if id(node.outputs[0]) in values:
            continue
        args, kwargs = node.arguments.convert(lambda x: values.get(id(x), x))
        if training is not None and "training" in inspect.signature(node.operation.call).parameters:
            kwargs = {"training": training, **kwargs}
        outputs = keras.tree.flatten(node.operation(*args, **kwargs))
        values.update(zip(map(id, node.outputs), outputs, strict=True))
    return values


def layer_outputs(model: keras.Model) -> dict[str, Any]:
    """The output of each layer that a model calls once, by name: no inputs, no lists."""
    nodes = {id(node): node for node in nodes_before(model.outputs)}
    calls = Counter(id(node.operation) for node in nodes.values())
    by_layer = {
        id(node.operation): node.outputs[0]
        for node in nodes.values()
        if calls[id(node.operation)] == 1 and len(node.outputs) == 1 and not node.is_input
    }
    return {layer.name: by_layer[id(layer)] for layer in model.layers if id(layer) in by_layer}


def sublayers(operation: Any) -> list[Any]:
    """The operation itself, and all layers in it."""
    return list(operation._flatten_layers()) if _is_layer(operation) else [operation]


def _is_layer(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Layer)
