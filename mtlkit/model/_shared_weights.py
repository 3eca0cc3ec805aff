"""Which tasks depend on which weights, read from the graph of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtlkit.backbones._graph import nodes_before
from mtlkit.model._graph_split import inlined


def tasks_of_weights(inputs: Any, outputs: Mapping[str, Any]) -> list[tuple[Any, tuple[str, ...]]]:
    """The weights that outputs depend on, each with the names of these outputs.

    A layer that is no graph of layers counts as a whole.
    """
    _, tensors = inlined(inputs, outputs, everything=True)
    weights: dict[int, Any] = {}
    tasks: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        layers = {id(node.operation): node.operation for node in nodes_before([tensor])}
        own = [w for layer in layers.values() for w in getattr(layer, "weights", [])]
        for weight in {id(w): w for w in own}.values():
            weights[id(weight)] = weight
            tasks.setdefault(id(weight), []).append(name)
    return [(weight, tuple(tasks[key])) for key, weight in weights.items()]
