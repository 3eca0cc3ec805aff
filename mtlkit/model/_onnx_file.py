"""Files of ONNX: written by TensorFlow or PyTorch, and their outputs named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

#: Stands for sizes that are not known while PyTorch follows the graph.
_ANY_SIZE = 32


def write_with_tensorflow(graph: Any, path: str, options: dict[str, Any]) -> None:
    """Writes a model on TensorFlow, as Keras does, and puts constants where they belong.

    The seam to TensorFlow of this file: what a layer has computed before, such as the mean of a
    `keras.layers.Normalization`, the converter takes for an input.
    """
    import onnx
    import tensorflow as tf

    graph.export(path, **options)
    (specs,) = options["input_signature"]
    sizes = [tf.TensorSpec(one.shape, one.dtype, name=one.name) for one in specs]
    traced = tf.function(graph.__call__, autograph=False).get_concrete_function(sizes)
    constants = {inner.name: outer for outer, inner in traced.graph.captures}
    model = onnx.load(path)
    used = {name for node in model.graph.node for name in node.input}
    for one in [one for one in model.graph.input if one.name in constants]:
        model.graph.input.remove(one)
        if one.name in used:
            value = onnx.numpy_helper.from_array(constants[one.name].numpy(), one.name)
            model.graph.initializer.append(value)
    if len(model.graph.input) != len(specs):
        raise ValueError(
            f"Expected a file with {len(specs)} inputs, as the model. Received: "
            f"{[one.name for one in model.graph.input]}. Some are what a layer has computed "
            "outside of its call(); compute it within"
        )
    onnx.save(model, path)


def name_outputs(path: str, outputs: Mapping[str, tuple[int | None, ...]]) -> None:
    """Gives the outputs of a file their names and shapes, in this order, and checks the file."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    _free(graph, set(outputs))
    for output, (name, shape) in zip(graph.output, outputs.items(), strict=True):
        graph.node.append(onnx.helper.make_node("Identity", [output.name], [name]))
        sizes = [size or (f"{name}_{axis}" if axis else "batch") for axis, size in enumerate(shape)]
        kind = output.type.tensor_type.elem_type
        output.CopyFrom(onnx.helper.make_tensor_value_info(name, kind, sizes))
    for one in graph.input:
        batch = one.type.tensor_type.shape.dim[0]
        if not batch.dim_value:
            batch.dim_param = "batch"
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _free(graph: Any, names: set[str]) -> None:
    """Gives other names to tensors of the graph that have one of these."""
    new = {name: f"{name}__inner" for name in names}
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    for one in (*graph.initializer, *graph.value_info, *graph.output):
        one.name = new.get(one.name, one.name)


def write_with_torch(graph: Any, path: str, options: dict[str, Any]) -> None:
    """Writes a model on PyTorch, with outputs in a list, for batches of any size.

    The seam to PyTorch of this file: Keras's exporter follows a graph of one batch size alone, or
    by TorchScript, which has no layer normalization.
    """
    import torch

    specs = keras.tree.flatten(options["input_signature"])
    batch = torch.export.Dim("batch")
    sizes = [
        {
            axis: torch.export.Dim(f"size_{number}_{axis}") if axis else batch
            for axis, size in enumerate(spec.shape)
            if size is None
        }
        for number, spec in enumerate(specs)
    ]
    program = torch.export.export(
        graph.eval(),
        ([_example(spec) for spec in specs],),
        dynamic_shapes={"args": (sizes,)},
        strict=False,
    )
    _drop_idle_squeezes(program, torch.ops.aten.squeeze.dim)
    torch.onnx.export(
        program,
        f=path,
        input_names=[spec.name for spec in specs],
        opset_version=options.get("opset_version"),
        dynamo=True,
        external_data=False,
        verbose=bool(options.get("verbose")),
    )


def _example(spec: Any) -> Any:
    """Inputs to follow the graph with."""
    first = spec.shape[0] or 2
    return keras.ops.ones((first, *(size or _ANY_SIZE for size in spec.shape[1:])), spec.dtype)


def _drop_idle_squeezes(program: Any, squeeze: Any) -> None:
    """Takes out squeezes of axes longer than 1: PyTorch leaves such an axis, ONNX refuses it."""
    for node in list(program.graph.nodes):
        if node.target is squeeze and node.args[0].meta["val"].shape[node.args[1]] != 1:
            node.replace_all_uses_with(node.args[0])
            program.graph.erase_node(node)
