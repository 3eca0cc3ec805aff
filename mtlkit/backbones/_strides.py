"""A functional model as a graph: what comes before what, at which stride, and where all meet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from mtlkit.backbones._graph import nodes_before

#: Size of the maps by which strides are measured, layer by layer: many numbers divide it.
_PROBE = 960


class Graph:
    """The nodes of a functional model from its inputs to its outputs, in the order of the graph."""

    def __init__(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.nodes = _in_order(self.inputs, self.outputs)
        self._position = {id(x): i for i, node in enumerate(self.nodes) for x in node.outputs}

    def position(self, tensor: Any) -> int:
        """Where in `nodes` a tensor is made; -1 for an input."""
        return self._position.get(id(tensor), -1)

    def outputs_of(self, name: str) -> list[Any]:
        """The tensors that the operation of a name makes, over all of its calls."""
        return [x for node in self.nodes if node.operation.name == name for x in node.outputs]

    def before(self, tensor: Any) -> list[Any]:
        """The operations that a tensor is computed by."""
        return [node.operation for node in _in_order(self.inputs, [tensor])]

    def passed_by_all(self) -> list[bool]:
        """Of each node, whether everything behind it is computed from its outputs alone."""
        count = len(self.nodes)
        change = [0] * (count + 2)
        for position, node in enumerate(self.nodes):
            for tensor in node.input_tensors:
                change[self.position(tensor) + 1] += 1  # an edge passes by those in between
                change[position] -= 1
        passing, found = 0, []
        for position in range(count):
            passing += change[position]
            found.append(passing == 0)
        return found

    def strides(self, spatial: Sequence[int]) -> list[float | None]:
        """Of each node, how many pixels of the input one of its map is wide; `None` if none."""
        rank = len(self.inputs[0].shape)
        known: dict[int, float] = {id(self.inputs[0]): 1.0}
        found = []
        for node in self.nodes:
            stride = _stride(node, known, rank, spatial)
            if stride is None:
                stride = _stride_by_size(node.outputs[0], self.inputs[0], spatial)
            if stride is not None:
                known |= {id(x): stride for x in node.outputs if len(x.shape) == rank}
            found.append(stride)
        return found


def _in_order(inputs: Sequence[Any], outputs: Iterable[Any]) -> list[Any]:
    """Nodes between tensors, each behind those that it reads; without those of the inputs."""
    return [node for node in nodes_before(outputs, until=inputs) if not node.is_input]


def _stride(node: Any, known: dict[int, float], rank: int, spatial: Sequence[int]) -> float | None:
    """The stride of a node's output, from those of its inputs and how it resizes a map."""
    strides = [known[id(x)] for x in node.input_tensors if id(x) in known]
    if not strides or len(node.outputs[0].shape) != rank:
        return None
    probes = {
        id(x): keras.KerasTensor(_resized(x.shape, spatial) if id(x) in known else x.shape, x.dtype)
        for x in node.input_tensors
    }
    try:
        args, kwargs = node.arguments.fill_in(probes)
        spec = keras.tree.flatten(node.operation.compute_output_spec(*args, **kwargs))[0]
        factors = [_factor(spec.shape[axis]) for axis in spatial]
    except Exception:  # operations that are made for one size fail in ways of their own
        return None
    if any(factor is None for factor in factors):
        return None
    return max(strides) * max(factor for factor in factors if factor is not None)


def _resized(shape: Sequence[int | None], spatial: Sequence[int]) -> tuple[int | None, ...]:
    return tuple(_PROBE if axis in spatial else size for axis, size in enumerate(shape))


def _factor(size: int | None) -> float | None:
    """How much wider pixels are in a map of this size than in the probe."""
    if size is None or size <= 1:  # unknown, or all positions in one
        return None
    return float(round(_PROBE / size)) if size <= _PROBE else 1 / round(size / _PROBE)


def _stride_by_size(output: Any, image: Any, spatial: Sequence[int]) -> float | None:
    """The stride by the sizes of map and image, where one is a multiple of the other."""
    if len(output.shape) != len(image.shape):
        return None
    sizes = [(image.shape[axis], output.shape[axis]) for axis in spatial]
    if any(large is None or small is None or small <= 1 for large, small in sizes):
        return None
    ratios = [large / small for large, small in sizes]
    if not all(math.isclose(ratio, round(ratio), rel_tol=0.02) for ratio in ratios):
        return None
    return float(round(max(ratios)))
