"""Files of LiteRT: their inputs and outputs named, and the outputs in order."""

from __future__ import annotations

from pathlib import Path

from mtlkit._warnings import warn


def name_and_order(path: str, inputs: list[str], outputs: list[str]) -> None:
    """Gives the tensors of a file their names, and its outputs this order.

    The converters sort outputs by name; PyTorch's calls inputs `args_0`, ...

    Args:
        path: Path of the file, of which the signature has the outputs by name.
        inputs: Names of the inputs, in order.
        outputs: Names of the outputs.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(Path(path).read_bytes()))
    foreign = sorted(code.customCode.decode() for code in model.operatorCodes if code.customCode)
    if foreign:
        warn(
            f"{Path(path).name} has operations that LiteRT alone does not have: {foreign}. Its "
            "interpreter needs the Flex delegate of TensorFlow to run it"
        )
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    found = {one.name.decode(): one for one in signature.outputs}
    signature.outputs = [found[name] for name in outputs]
    graph.outputs = [one.tensorIndex for one in signature.outputs]
    if len(signature.inputs) == 1:
        signature.inputs[0].name = inputs[0].encode()
    for one in (*signature.inputs, *signature.outputs):
        graph.tensors[one.tensorIndex].name = one.name
    for one in graph.tensors:  # the converter may leave sizes of -1, which no runtime reads
        if one.shape is not None and min(one.shape, default=0) < 0:
            one.shapeSignature, one.shape = one.shape, [max(size, 1) for size in one.shape]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    Path(path).write_bytes(builder.Output())
