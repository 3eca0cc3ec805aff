"""Exporting a model: the graph, the names of its outputs, and the formats."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras

from mtlkit.model import _litert_file, _onnx_file

_Write = Callable[[Any, dict[str, Any], str, dict[str, Any]], None]


@dataclass(frozen=True)
class _Format:
    """A row of the table: a format that is checked against its runtime.

    Attributes:
        suffix: The end of the path; empty where the artefact is a folder.
        packages: What has to be installed beside Keras, by backend; other backends cannot write it.
        write: Writes symbolic outputs by name, given the inputs, the path and Keras's options.
        float32: Whether its runtime computes in float32 alone, whatever the model trains in.
        since_keras: The first version of Keras that writes it, if mtlkit allows older ones.
    """

    suffix: str
    packages: Mapping[str, tuple[str, ...]]
    write: _Write
    float32: bool = False
    since_keras: tuple[int, int] | None = None

    @property
    def in_keras(self) -> bool:
        """Whether the Keras that is installed can write it."""
        return self.since_keras is None or _keras_version() >= self.since_keras


def export(
    model: Any, filepath: str | Path, name: str, decode: bool, options: dict[str, Any]
) -> None:
    """Writes a `MultiTaskModel` in a format; see its `export`."""
    format = FORMATS.get(name, _OTHER)
    _check(format, name, str(filepath), decode)
    options = {"format": name, **options}
    if options["input_signature"] is None:
        options["input_signature"] = _signature(model.input)
    with _in_float32(model) if format.float32 else nullcontext():
        outputs = decoded_outputs(model) if decode else {n: model.output[n] for n in model.tasks}
        write = partial(_whole, format.write) if format.suffix else format.write
        try:
            write(model.input, outputs, str(filepath), options)
        except Exception as error:
            if keras.backend.backend() != "tensorflow":
                cure = _on_tensorflow(name, filepath, decode)
                error.add_note(f"TensorFlow may write what this backend does not. {cure}")
            raise


def _whole(
    write: _Write, inputs: Any, outputs: dict[str, Any], filepath: str, options: dict[str, Any]
) -> None:
    """Writes a file whole or not at all."""
    path = Path(filepath).resolve()  # of a link, what it points to
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        unfinished = str(Path(folder) / path.name)
        write(inputs, outputs, unfinished, {**options, "verbose": False})
        os.replace(unfinished, path)
    if options["verbose"] is None or options["verbose"]:  # as in Keras, which says so, too
        print(f"Saved artifact at '{filepath}'.")


def decoded_outputs(model: Any) -> dict[str, Any]:
    """What heads decode, as symbolic tensors by `{task}_{name}`, in the order of the tasks."""
    decoded = {
        name: _decoded(name, task.head, model.output[name]) for name, task in model.tasks.items()
    }
    named = [(f"{task}_{key}", one) for task, own in decoded.items() for key, one in own.items()]
    repeated = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if repeated:
        raise ValueError(
            "Expected decoded outputs of different names, which are made of task and output; give "
            f"a task another name. Received: {repeated} repeatedly, from the tasks {list(decoded)}"
        )
    return dict(named)


@contextmanager
def _in_float32(model: Any) -> Iterator[None]:
    """Within it, layers that compute in half precision compute in float32."""
    halves = [
        (layer, layer.dtype_policy)
        for layer in model._flatten_layers()
        if layer.compute_dtype in ("float16", "bfloat16")
    ]
    try:
        for layer, _ in halves:
            layer.dtype_policy = "float32"
        yield
    finally:
        for layer, policy in halves:
            layer.dtype_policy = policy


def _decoded(task: str, head: Any, outputs: Any) -> dict[str, Any]:
    """What a head decodes, as symbolic tensors by name."""
    decoding = _Decoding(head, name=f"{task}_decoding")
    try:
        if _decodes_otherwise(head):
            name = type(head).__name__
            raise NotImplementedError(f"its decode is not decode_tensors, which {name} inherits")
        tensors = decoding(outputs)
    except Exception as error:
        raise ValueError(
            f"Task {task!r}: expected a head whose decoding can be part of a graph: one that "
            "defines decode_tensors(outputs) with keras.ops. Received: "
            f"{type(head).__name__}, which says: {error}. Or export without decode=True, and "
            f"decode what the runtime gives: model.tasks[{task!r}].head.decode(outputs)"
        ) from error
    return dict(zip(decoding.names, tensors, strict=True))


def _decodes_otherwise(head: Any) -> bool:
    """Whether a class has a `decode` of its own over a `decode_tensors` that it inherits."""
    classes = type(head).__mro__
    own = next(one for one in classes if "decode" in vars(one))
    tensors = next(one for one in classes if "decode_tensors" in vars(one))
    return own is not tensors and issubclass(own, tensors)


class _Decoding(keras.layers.Layer):
    """A head's decoding as a layer, so that its constants belong to the graph."""

    def __init__(self, head: Any, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.head = head
        self.names: tuple[str, ...] = ()

    def call(self, outputs: Any) -> list[Any]:
        decoded = self.head.decode_tensors(outputs)
        self.names = tuple(decoded)
        return list(decoded.values())


def _check(format: _Format, name: str, path: str, decode: bool) -> None:
    """Raises an error if the path, the backend or an installed package does not fit."""
    if not path.endswith(format.suffix):
        raise ValueError(
            f"Expected a path that ends with {format.suffix!r} for format={name!r}, such as "
            f"{str(Path(path).with_suffix(format.suffix))!r}. Received: filepath={path!r}"
        )
    others = [n for n, one in FORMATS.items() if one.suffix and path.endswith(one.suffix)]
    if not format.suffix and others:
        raise ValueError(
            f"Expected the path of a folder for format={name!r}. Received: filepath={path!r}. "
            f"For such a file: model.export({path!r}, format={others[0]!r})"
        )
    backend = keras.backend.backend()
    if format.packages and backend not in format.packages:
        raise ValueError(
            f"Expected the backend to be one of {list(format.packages)} for format={name!r}. "
            f"Received: {backend!r}. {_on_tensorflow(name, path, decode)}"
        )
    if not format.in_keras:
        least = ".".join(map(str, format.since_keras or ()))
        raise ImportError(
            f"Expected Keras {least} or later for format={name!r}. "
            f"Received: Keras {keras.__version__}. Run: pip install --upgrade keras"
        )
    missing = [one for one in format.packages.get(backend, ()) if find_spec(one) is None]
    if missing:
        raise ImportError(
            f"Expected {' and '.join(missing)} to be installed for format={name!r}. "
            f"Run: pip install {' '.join(one.replace('_', '-') for one in missing)}"
        )


def _keras_version() -> tuple[int, int]:
    """The version of Keras, as far as it says what there is."""
    major, minor = keras.__version__.split(".")[:2]
    return int(major), int(minor)


def _on_tensorflow(name: str, path: str | Path, decode: bool) -> str:
    """How to export on TensorFlow what was trained on another backend."""
    asked = f"'{path}', format='{name}'" + (", decode=True" if decode else "")
    return (
        'Export there: model.save("model.keras"), and then, in a shell:\n'
        'KERAS_BACKEND=tensorflow python -c "import keras, mtlkit; '
        f"keras.models.load_model('model.keras').export({asked})\""
    )


def _signature(inputs: Any) -> list[Any]:
    """The inputs of a model, of any batch size, as Keras's exporters take them."""
    return [
        keras.tree.map_structure(
            lambda one: keras.InputSpec(shape=one.shape, dtype=one.dtype, name=one.name), inputs
        )
    ]


def _write_saved_model(
    inputs: Any, outputs: dict[str, Any], path: str, options: dict[str, Any]
) -> None:
    keras.Model(inputs, outputs).export(path, **options)


def _write_onnx(inputs: Any, outputs: dict[str, Any], path: str, options: dict[str, Any]) -> None:
    # Flat, so that the order is known whatever the converter.
    graph = keras.Model(keras.tree.flatten(inputs), list(outputs.values()))
    options["input_signature"] = [keras.tree.flatten(options["input_signature"])]
    if keras.backend.backend() == "torch":
        _onnx_file.write_with_torch(graph, path, options)
    else:
        _onnx_file.write_with_tensorflow(graph, path, options)
    _onnx_file.name_outputs(path, {name: one.shape for name, one in outputs.items()})


def _write_litert(inputs: Any, outputs: dict[str, Any], path: str, options: dict[str, Any]) -> None:
    keras.Model(inputs, outputs).export(path, **options)
    names = [one.name for one in keras.tree.flatten(inputs)]
    _litert_file.name_and_order(path, names, list(outputs))


def _write_other(inputs: Any, outputs: dict[str, Any], path: str, options: dict[str, Any]) -> None:
    keras.Model(inputs, list(outputs.values())).export(path, **options)


FORMATS: Mapping[str, _Format] = {
    "tf_saved_model": _Format("", {"tensorflow": (), "jax": ()}, _write_saved_model),
    "onnx": _Format(
        ".onnx",
        {"tensorflow": ("tf2onnx", "onnx"), "torch": ("onnxscript", "onnx")},
        _write_onnx,
        float32=True,
    ),
    "litert": _Format(
        ".tflite",
        {"tensorflow": ("ai_edge_litert",), "torch": ("litert_torch", "ai_edge_litert")},
        _write_litert,
        float32=True,
        since_keras=(3, 13),
    ),
}
#: Formats that Keras knows and that are not checked here: their outputs come in the tasks' order.
_OTHER = _Format("", {}, _write_other)
