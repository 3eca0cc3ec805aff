"""Splitting the graph of a Keras model: what its outputs share, and what each has for itself."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from mtlkit.backbones._graph import is_graph, node_of, nodes_before, replay, sublayers


@dataclass(frozen=True)
class Part:
    """What one output has for itself.

    Attributes:
        graph: The model from the shared maps to the output.
        features: Names of the maps, in the order of the graph's inputs.
        output: The output in the graph of the whole model, from which it can be traced back.
    """

    graph: keras.Model
    features: tuple[str, ...]
    output: Any


def split(
    inputs: Any, outputs: Mapping[str, Any], name: str
) -> tuple[keras.Model, dict[str, Part]]:
    """Splits a graph where its outputs part. The layers are the same objects on both sides.

    A node is shared if at least two outputs depend on it. If a layer would then be called on
    both sides, or for two outputs, it is shared together with all that it reads, so that it stays
    one layer when the model is saved. A model with a single output is split at the last map, or
    before the last layer with weights (see `_cut`).
    """
    inputs, outputs = inlined(inputs, outputs)
    _check_names(outputs.values())
    ways = {output: nodes_before([tensor]) for output, tensor in outputs.items()}
    order = {id(node): place for place, node in enumerate(nodes_before(outputs.values()))}
    shared = _closed(_shared(outputs, ways), ways)
    read = {
        output: _frontier(outputs[output], nodes, shared, order) for output, nodes in ways.items()
    }
    names = _named([tensor for own in read.values() for tensor in own], order, ways.values())
    maps = dict(names.values())
    backbone = keras.Model(inputs, maps, name=name)
    parts = {}
    for output, own in read.items():
        features = {names[id(tensor)][0]: tensor for tensor in own}
        nodes = [node for node in ways[output] if id(node) not in shared]
        graph = _rebuilt(nodes, features, outputs[output], "graph")
        parts[output] = Part(graph, tuple(features), outputs[output])
    return backbone, parts


def inlined(
    inputs: Any, outputs: Mapping[str, Any], everything: bool = False
) -> tuple[Any, dict[str, Any]]:
    """Puts the layers of nested models into the graph where it may have to be split within.

    These are nested models with several outputs, and those that are a single output's last
    layer. Other nested models stay single layers, unless it is `everything` that is looked at.
    """
    outputs = dict(outputs)
    while nested := _to_inline(outputs, everything):
        if not everything:
            _pass_on_trainable(nested.operation)
        fresh = {id(x): _input_like(x, x.name) for x in keras.tree.flatten(inputs)}
        values = dict(fresh)
        nodes = nodes_before(outputs.values())
        before = nodes[: nodes.index(nested)]
        inner = _nested_graph(nested)
        replay(before, values)
        given = [values[id(x)] for x in _given(nested)]
        within = dict(zip(map(id, inner.inputs), given, strict=True))
        replay(nodes_before(inner.outputs), within, nested.arguments.kwargs.get("training"))
        values.update(
            zip(map(id, nested.outputs), [within[id(x)] for x in inner.outputs], strict=True)
        )
        replay(nodes, values)
        inputs = keras.tree.map_structure(lambda x, new=fresh: new[id(x)], inputs)
        outputs = {name: values[id(tensor)] for name, tensor in outputs.items()}
    return inputs, outputs


def _to_inline(outputs: Mapping[str, Any], everything: bool) -> Any:
    """The first node of a nested model that the graph may have to be split within, or `None`."""
    last = node_of(next(iter(outputs.values()))) if len(outputs) == 1 else None
    for node in nodes_before(outputs.values()):
        if everything and _nested_graph(node) is not None:
            return node
        if is_graph(node.operation) and (len(node.outputs) > 1 or node is last):
            return node
    return None


def _nested_graph(node: Any) -> Any:
    """The nested model of a node, that of an adopted head among them, or `None`."""
    inner = node.operation
    inner = getattr(inner, "graph", inner)
    return inner if is_graph(inner) else None


def _given(nested: Any) -> list[Any]:
    """The tensors that a nested model was called on, in the order of its inputs."""
    inner, arguments = _nested_graph(nested), nested.arguments
    given = arguments.args[0] if arguments.args else arguments.kwargs["inputs"]
    if isinstance(given, Mapping) and not isinstance(inner.input, Mapping):
        return [given[x.name] for x in inner.inputs]
    return keras.tree.flatten(given)


def _pass_on_trainable(model: keras.Model) -> None:
    """Freezes the layers of a frozen model, so that they are frozen without it, too."""
    if not model.trainable:
        model.trainable = False


def _shared(outputs: Mapping[str, Any], ways: Mapping[str, list[Any]]) -> set[int]:
    """The `id`s of nodes that come before the parting, without the closure over layers."""
    if len(outputs) == 1:
        (tensor,) = outputs.values()
        return {id(node) for node in nodes_before(_cut(tensor))}
    seen = Counter(id(node) for nodes in ways.values() for node in nodes)
    return {key for key, count in seen.items() if count > 1}


def _cut(output: Any) -> list[Any]:
    """Where a single output is split.

    That is at the last map (with an axis more than batch and channels) that layers with
    weights have made, if the output is a vector; else before the last layer with weights.
    """
    nodes = nodes_before([output])
    if len(output.shape) <= 2:
        for node in reversed(nodes):
            maps = [x for x in node.outputs if len(x.shape) > 2]
            if maps and any(_has_weights(before) for before in nodes_before(maps)):
                return maps
    weighted = [node for node in nodes if _has_weights(node)]
    return weighted[-1].input_tensors if weighted else [x for n in nodes[:1] for x in n.outputs]


def _has_weights(node: Any) -> bool:
    return bool(getattr(node.operation, "weights", None))


def _closed(shared: set[int], ways: Mapping[str, list[Any]]) -> set[int]:
    """Adds the nodes of layers that would be on both sides, or in two parts, and what is before."""
    room: dict[int, str] = {id(node): output for output, own in ways.items() for node in own}
    nodes = {id(node): node for own in ways.values() for node in own}
    calls: dict[int, set[int]] = defaultdict(set)
    for node in nodes.values():
        for layer in sublayers(node.operation):
            calls[id(layer)].add(id(node))
    shared = shared | {key for key, node in nodes.items() if node.is_input}
    while True:
        mixed: set[int] = set()
        for group in calls.values():
            rooms = {None if key in shared else room[key] for key in group}
            if len(rooms) > 1:
                mixed |= group - shared
        if not mixed:
            return shared
        tensors = [x for key in mixed for x in nodes[key].outputs]
        shared |= {id(node) for node in nodes_before(tensors)}


def _frontier(
    output: Any, nodes: Iterable[Any], shared: set[int], order: Mapping[int, int]
) -> list[Any]:
    """The shared tensors that the nodes of a part read; the output itself if there are none."""
    own = [node for node in nodes if id(node) not in shared]
    read = {id(x): x for node in own for x in node.input_tensors if id(node_of(x)) in shared}
    return sorted(read.values(), key=lambda x: _place(x, order)) or [output]


def _named(
    tensors: Iterable[Any], order: Mapping[int, int], ways: Iterable[list[Any]]
) -> dict[int, tuple[str, Any]]:
    """Names for maps, after the layer that each comes from; the last one last."""
    taken = {node.operation.name for nodes in ways for node in nodes}
    found: dict[int, tuple[str, Any]] = {}
    by_id = {id(x): x for x in tensors}
    for tensor in sorted(by_id.values(), key=lambda x: _place(x, order)):
        name = node_of(tensor).operation.name
        used = {one for one, _ in found.values()}
        if name in used:
            numbered = (f"{name}_{number}" for number in range(1, len(taken) + len(used) + 2))
            name = next(one for one in numbered if one not in taken | used)
        found[id(tensor)] = (name, tensor)
    return found


def _place(tensor: Any, order: Mapping[int, int]) -> tuple[bool, int, int]:
    """Sorts tensors as they are computed; masks and other tensors that are no floats first."""
    history = tensor._keras_history
    return ("float" in tensor.dtype, order[id(node_of(tensor))], history.tensor_index)


def _rebuilt(nodes: list[Any], features: Mapping[str, Any], output: Any, name: str) -> keras.Model:
    """A model of the same layers, from features to an output."""
    taken = {node.operation.name for node in nodes}
    new = [
        _input_like(x, feature if feature not in taken else f"{feature}_map")
        for feature, x in features.items()
    ]
    values = dict(zip(map(id, features.values()), new, strict=True))
    replay(nodes, values)
    end = values[id(output)]
    if any(end is one for one in new):  # Keras 3.12 takes no model without a layer
        end = keras.layers.Identity()(end)
    return keras.Model(new if len(new) > 1 else new[0], end, name=name)


def _input_like(tensor: Any, name: str) -> Any:
    return keras.Input(
        batch_shape=tensor.shape, dtype=tensor.dtype, sparse=tensor.sparse, name=name
    )


def _check_names(outputs: Iterable[Any]) -> None:
    """Raises a ValueError if layers that were in different nested models have one name."""
    names = {id(node.operation): node.operation.name for node in nodes_before(outputs)}
    repeated = sorted({n for n, count in Counter(names.values()).items() if count > 1})
    if repeated:
        raise ValueError(
            "Expected layers of different names, since a nested model with several outputs is "
            "taken apart. Give the layers other names before, such as "
            f'model.get_layer("nested").get_layer({repeated[0]!r}).name = "nested_{repeated[0]}". '
            f"Received: {repeated} repeatedly"
        )
