"""Runs exported models in their runtimes, and says what they should give."""

from __future__ import annotations

import numpy as np
import pytest

#: The end of the paths of a format.
SUFFIXES = {"tf_saved_model": "", "onnx": ".onnx", "litert": ".tflite"}


def expected(model, x, decode: bool) -> dict[str, np.ndarray]:
    """Returns what Keras predicts, by the names that exported outputs have, in their order."""
    if not decode:
        outputs = model.predict(x, verbose=0)
        return {name: outputs[name] for name in model.tasks}
    decoded = model.predict_tasks(x, verbose=0)
    return {f"{name}_{key}": one for name, own in decoded.items() for key, one in own.items()}


def run(path, format: str, x) -> dict[str, np.ndarray]:
    """Returns what the runtime gives, by name; in the order of the file, if it has one."""
    return {"tf_saved_model": _saved_model, "onnx": _onnx, "litert": _litert}[format](str(path), x)


def _saved_model(path, x):
    tf = pytest.importorskip("tensorflow")
    serve = tf.saved_model.load(path).signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]
    return {name: one.numpy() for name, one in serve(**{name: tf.constant(x)}).items()}


def _onnx(path, x):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: x}), strict=True))


def _litert(path, x):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(path)
    (name,) = interpreter.get_signature_list()["serving_default"]["inputs"]
    found = interpreter.get_signature_runner()(**{name: x})
    return {one["name"]: found[one["name"]] for one in interpreter.get_output_details()}
