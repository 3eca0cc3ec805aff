"""A Keras model written by hand, adopted in one line, and cured in a second one.

Three convolutions serve three tasks on rotated digits. `intensity` must not disturb the others,
so its gradient is stopped with `keras.ops.stop_gradient`; `orientation` is stuck. The model is
adopted as it is, trained with labels of which a part is missing, and gets another head.

Run it with `python examples/adopt_keras_model.py`; `--help` tells the options.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

import mtlkit as mtl

NUM_BINS = 32


def hand_written_model() -> keras.Model:
    """Returns a compiled Keras model, which knows nothing of this library."""
    image = keras.Input((32, 32, 1), name="image")
    x = keras.layers.Conv2D(16, 3, activation="relu", name="conv1")(image)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(32, 3, activation="relu", name="conv2")(x)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(64, 3, activation="relu", name="conv3")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    alone = keras.ops.stop_gradient(x)
    outputs = {
        "identity": keras.layers.Dense(10, activation="softmax", name="identity")(x),
        "orientation": keras.layers.Dense(NUM_BINS, activation="softmax", name="orientation")(x),
        "intensity": keras.layers.Dense(1, name="intensity")(alone),
    }
    model = keras.Model(image, outputs)
    model.compile(
        optimizer=keras.optimizers.Adam(2e-3),
        loss={
            "identity": "sparse_categorical_crossentropy",
            "orientation": "sparse_categorical_crossentropy",
            "intensity": "mse",
        },
        metrics={"identity": ["accuracy"], "orientation": ["accuracy"], "intensity": ["mae"]},
    )
    return model


def half_labelled(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Returns class labels of which every other one is missing."""
    return np.where(np.random.default_rng(seed).random(len(labels)) < 0.5, labels, -1)


def report(name: str, model: mtl.MultiTaskModel, data: mtl.datasets.MultiTaskData) -> None:
    """Prints the scores on the test images, beside chance."""
    scores = model.evaluate(data.x_test, data.y_test, verbose=0, return_dict=True)
    print(
        f"{name}: identity {scores['identity_accuracy']:.1%} (chance 10 %), "
        f"orientation {scores['orientation_accuracy']:.1%} (chance {1 / NUM_BINS:.1%}), "
        f"intensity {scores['intensity_mae']:.3f} mean absolute error"
    )


def main() -> None:
    """Adopts, trains, cures and saves the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--output", type=Path, default=Path("adopted"))
    options = parser.parse_args()

    # The data. Half of the labels of `identity` are missing.
    options.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    data = mtl.datasets.rotated_digits(num_bins=NUM_BINS, seed=0)
    y_train = {**data.y_train, "identity": half_labelled(data.y_train["identity"])}

    # The whole of it: layers, weights, losses, metrics and the optimizer are those of the model.
    model = mtl.MultiTaskModel.from_keras(hand_written_model())
    for name, task in model.tasks.items():
        print(f"{name}: {task.head.kind}, reads {task.feature!r}, weight {task.weight}")
    model.fit(data.x_train, y_train, epochs=options.epochs, verbose=0)
    report("1. adopted", model, data)

    # Pooling has lost where things are; this head reads the map before it.
    model = model.with_head("orientation", mtl.heads.OrientationHead(NUM_BINS), feature="conv2")
    model.compile(keras.optimizers.Adam(2e-3))
    model.fit(data.x_train, y_train, epochs=options.epochs, verbose=0)
    report("2. another head", model, data)

    # The file keeps all of it; a loaded model decodes as well.
    model.save(options.output / "model.keras")
    loaded = keras.models.load_model(options.output / "model.keras")
    print(
        "Decoded:",
        {
            k: v["degrees"][0]
            for k, v in loaded.predict_tasks(data.x_test[:1], verbose=0).items()
            if "degrees" in v
        },
    )


if __name__ == "__main__":
    main()
