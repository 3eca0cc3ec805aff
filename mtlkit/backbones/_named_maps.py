"""Names for the tensors of a functional model that tasks may read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from mtlkit.backbones._applications import PADDING, leading_preprocessing
from mtlkit.backbones._strides import Graph

#: The names that every backbone has.
INPUT, LAST = "input", "last"


def graph_of(model: keras.Model) -> Graph:
    """The graph of a functional or sequential model."""
    return Graph(model.inputs, model.outputs)


def named_maps(
    model: keras.Model,
    graph: Graph,
    maps: Mapping[str, str] | Sequence[str] | None,
    data_format: str,
) -> dict[str, Any]:
    """Names tensors of a model, `"last"` last."""
    if maps is None:
        found = _found(model, graph, data_format)
    else:
        given = maps if isinstance(maps, Mapping) else {name: name for name in maps}
        found = {name: _output_of(graph, name, layer) for name, layer in given.items()}
        if INPUT in found:
            raise ValueError(
                f"Expected maps of other names than {INPUT!r}, which is what the network reads. "
                f"Received: maps={maps!r}"
            )
    last = found.pop(LAST, None)
    if last is None:
        _check_no_classifier(model, graph)
        last = _outputs_of(model)[-1]
    return {**found, LAST: last}


def spatial_axes(rank: int, data_format: str) -> tuple[int, ...]:
    """The axes of a map that are neither batch nor channels."""
    return tuple(range(2, rank)) if data_format == "channels_first" else tuple(range(1, rank - 1))


def _found(model: keras.Model, graph: Graph, data_format: str) -> dict[str, Any]:
    pyramid = getattr(model, "pyramid_outputs", None)
    if isinstance(pyramid, Mapping) and pyramid:
        return {_name_of_level(level): tensor for level, tensor in pyramid.items()}
    if not isinstance(model, keras.Sequential) and isinstance(model.output, Mapping):
        return dict(model.output)
    if len(graph.inputs) == 1 and len(graph.inputs[0].shape) > 3:
        return _by_stride(graph, data_format)
    return {
        node.operation.name: node.outputs[0]
        for node in graph.nodes
        if isinstance(node.operation, keras.layers.Layer)
        and len(graph.outputs_of(node.operation.name)) == 1
        and node.operation.name not in (INPUT, LAST)
    }


def _by_stride(graph: Graph, data_format: str) -> dict[str, Any]:
    """One tensor for each stride, by name."""
    nodes = nodes_by_stride(graph, data_format)
    return {f"stride{stride}": node.outputs[0] for stride, node in nodes.items()}


def nodes_by_stride(graph: Graph, data_format: str) -> dict[int, Any]:
    """At each stride the last node that all behind it is computed from, if any, else the last."""
    axes = spatial_axes(len(graph.inputs[0].shape), data_format)
    preprocessing = len(leading_preprocessing(graph.nodes))
    best: dict[int, tuple[bool, int]] = {}
    for position, (stride, passed) in enumerate(
        zip(graph.strides(axes), graph.passed_by_all(), strict=True)
    ):
        node = graph.nodes[position]
        is_whole = stride is not None and stride >= 1 and stride == int(stride)
        is_padding = type(node.operation).__name__ in PADDING
        if not is_whole or is_padding or position < preprocessing or len(node.outputs) > 1:
            continue
        key = int(stride or 0)
        best[key] = max(best.get(key, (False, -1)), (passed, position))
    return {stride: graph.nodes[position] for stride, (_, position) in sorted(best.items())}


def _name_of_level(level: str) -> str:
    """`"P3"`, as a pyramid names the map of stride 8, or another name as it is."""
    match = re.fullmatch(r"[PC](\d+)", str(level))
    return f"stride{2 ** int(match[1])}" if match else str(level)


def _output_of(graph: Graph, name: str, layer: str) -> Any:
    tensors = graph.outputs_of(layer)
    if len(tensors) == 1:
        return tensors[0]
    names = [node.operation.name for node in graph.nodes]
    if not tensors:
        near = difflib.get_close_matches(str(layer), names, n=3) or names[-3:]
        raise ValueError(
            f"Expected the map {name!r} to be a layer of the model, such as {near}. "
            f"Received: {layer!r}"
        )
    raise ValueError(
        f"Expected the map {name!r} to be a layer with one output, called once. "
        f"Received: {layer!r}, which has {len(tensors)}"
    )


def _check_no_classifier(model: keras.Model, graph: Graph) -> None:
    """Raises a ValueError for a model whose output are probabilities of classes."""
    node = graph.nodes[-1]
    operation = node.operation
    activation = getattr(getattr(operation, "activation", None), "__name__", "")
    is_softmax = activation == "softmax" or isinstance(operation, keras.layers.Softmax)
    if not is_softmax and operation.name.lower() != "predictions":
        return
    before = node.input_tensors[0]._keras_history[0]
    raise ValueError(
        "Expected a model that ends in features, for heads to read them. Received: "
        f"{model.name!r}, which ends in the classifier {operation.name!r}. Build it with "
        "include_top=False, or name the layer to be read last: "
        f'KerasBackbone(model, maps={{"last": "{before.name}"}})'
    )


def _outputs_of(model: keras.Model) -> list[Any]:
    """The outputs of a model, those of a dict in its order."""
    if not isinstance(model, keras.Sequential) and isinstance(model.output, Mapping):
        return list(model.output.values())
    return list(model.outputs)
