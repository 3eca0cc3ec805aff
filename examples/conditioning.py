"""A pose that means something only beside its object.

Each of eight objects counts its angle from a zero of its own, so the same picture of an arrow is
another pose on another object. `pose` may see which object the model *predicts*, never the
label. With and without, and with the predictions of other samples, which tells whether it is used.

Run it with `python examples/conditioning.py`; `--help` tells the options.
"""

from __future__ import annotations

import argparse
import dataclasses

import keras
import numpy as np

import mtlkit as mtl

OBJECTS, BINS = 8, 16
ZEROS = np.random.default_rng(7).permutation(BINS)[:OBJECTS]


def arrows(samples: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns images of an arrow, whose object is told by a row of three lamps, on or off."""
    rng = np.random.default_rng(seed)
    kind, seen = rng.integers(OBJECTS, size=samples), rng.integers(BINS, size=samples)
    angle = 2 * np.pi * (seen + rng.uniform(-0.4, 0.4, samples)) / BINS
    images = rng.normal(0, 0.15, (samples, 24, 24, 1)).astype("float32")
    for step in np.linspace(0, 8, 20):
        rows = np.round(13 - step * np.sin(angle)).astype(int)
        columns = np.round(12 + step * np.cos(angle)).astype(int)
        images[np.arange(samples), rows, columns] += 0.3
    for lamp in range(3):
        images[:, 0:3, 3 + 8 * lamp : 6 + 8 * lamp] += (kind >> lamp & 1)[:, None, None, None]
    return images, {"object": kind, "pose": (seen + ZEROS[kind]) % BINS}


def train(x, y, epochs: int, **conditioning) -> mtl.MultiTaskModel:
    """Returns a trained model."""
    keras.utils.set_random_seed(0)
    head = mtl.heads.OrientationHead(BINS, spatial="flatten")
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone((24, 24, 1), filters=(8, 16)),
        [
            mtl.Task("object", mtl.heads.ClassificationHead(OBJECTS, pooling="flatten")),
            mtl.Task("pose", head, **conditioning),
        ],
    )
    model.compile("adam")
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return model


def main() -> None:
    """Trains without and with conditioning, and prints the accuracies beside chance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="few images and one epoch, as a test")
    options = parser.parse_args()
    samples, epochs = (64, 1) if options.fast else (1500, 8)
    x, y = arrows(samples, seed=0)
    x_test, y_test = arrows(500, seed=1)
    rows = []

    def score(name: str, decoded: dict, task: str = "pose") -> None:
        count = BINS if task == "pose" else OBJECTS
        label = decoded[task]["label"]
        rows.append(mtl.metrics.accuracy_skill(y_test[task], label, count, task=name))

    score("pose, alone", train(x, y, epochs).predict_tasks(x_test, verbose=0))
    for kind in ("film", "experts"):
        model = train(x, y, epochs, condition_on="object", conditioning=kind)
        decoded = model.predict_tasks(x_test, verbose=0)
        score(f"pose, {kind}", decoded)

    # The same weights, which read the prediction from the data: here, that of another sample.
    task = dataclasses.replace(model.tasks["pose"], condition_from="data")
    twin = mtl.MultiTaskModel(model.backbone, [model.tasks["object"], task])
    others = np.roll(decoded["object"]["probability"], 1, axis=0)
    inputs = {"image_input": x_test, "object_prediction": others}
    score("pose, told another's object", twin.predict_tasks(inputs, verbose=0))
    score("object", decoded, "object")
    print(mtl.metrics.skill_table(rows, title=f"{len(x_test)} test images"))


if __name__ == "__main__":
    main()
