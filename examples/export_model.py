"""A model leaves Keras: exported with its decoding, and run by the runtime of each format.

Three tasks on rotated digits are trained, and the model is written as SavedModel, ONNX and
LiteRT. Each file is run by its own runtime, which knows nothing of Keras, and compared with
`predict_tasks`.

Run it with `python examples/export_model.py`; `--help` tells the options. It needs
`pip install ".[export]"`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np

import mtlkit as mtl

NUM_BINS = 32


def trained_model(data: mtl.datasets.MultiTaskData, epochs: int) -> mtl.MultiTaskModel:
    """Returns a model of three tasks, trained."""
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone(),
        [
            mtl.Task("orientation", mtl.heads.OrientationHead(NUM_BINS)),
            mtl.Task("identity", mtl.heads.ClassificationHead(10)),
            mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="stop"),
        ],
    )
    model.compile(keras.optimizers.Adam(2e-3))
    model.fit(data.x_train, data.y_train, epochs=epochs, verbose=0)
    return model


def run_saved_model(path: str, images: np.ndarray) -> dict[str, Any]:
    """Returns what TensorFlow gives, by name."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # holds the weights while it serves
    return dict(loaded.serve(images))


def run_onnx(path: str, images: np.ndarray) -> dict[str, Any]:
    """Returns what ONNX Runtime gives, by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"image_input": images}), strict=True))


def run_litert(path: str, images: np.ndarray) -> dict[str, Any]:
    """Returns what LiteRT gives, by name."""
    from ai_edge_litert.interpreter import Interpreter

    return dict(Interpreter(path).get_signature_runner()(image_input=images))


RUNTIMES = {
    "tf_saved_model": ("saved_model", run_saved_model),
    "onnx": ("model.onnx", run_onnx),
    "litert": ("model.tflite", run_litert),
}


def main() -> None:
    """Trains, exports, runs and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--formats", nargs="+", choices=RUNTIMES, default=list(RUNTIMES))
    parser.add_argument("--output", type=Path, default=Path("exported"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    data = mtl.datasets.rotated_digits(num_bins=NUM_BINS, seed=0)
    model = trained_model(data, options.epochs)
    images = data.x_test[:8].astype("float32")
    decoded = model.predict_tasks(images, verbose=0)

    for format in options.formats:
        file, run = RUNTIMES[format]
        path = str(options.output / file)
        model.export(path, format, decode=True, verbose=False)
        outputs = run(path, images)
        gap = max(
            np.abs(outputs[f"{task}_{name}"] - value).max()
            for task, own in decoded.items()
            for name, value in own.items()
        )
        print(f"{format}: {len(outputs)} outputs, at most {gap:.1e} from Keras")
    print("Degrees:", np.round(np.asarray(outputs["orientation_degrees"]), 1))


if __name__ == "__main__":
    main()
