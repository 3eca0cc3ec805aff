"""Photographs and a network of `keras.applications`: heads first, then its deepest stage, too.

Pictures of cloth, 96x96 pixels in colour, are made here. `pattern` is a class, `width` that of its
threads in pixels. The first stages of a MobileNet serve both: at first they are frozen and only the
heads train, then the last stage trains with them. Nothing is downloaded: the network's weights are
random unless you bring a file of them, or say `--weights imagenet`, which Keras downloads once.

Run it with `python examples/photographs_pretrained.py`; `--help` tells the options.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import keras
import numpy as np

import mtlkit as mtl

SIZE = 96
PATTERNS = ["stripes", "checks", "dots", "waves"]


def cloth(samples: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns pictures of cloth with values in 0...255, and their labels."""
    rng = np.random.default_rng(seed)
    pattern, width = rng.integers(len(PATTERNS), size=samples), rng.uniform(3, 12, samples)
    images = np.empty((samples, SIZE, SIZE, 3), "uint8")
    for one in range(samples):
        row, column = np.mgrid[:SIZE, :SIZE] + rng.uniform(0, 99, (2, 1, 1))
        turn, wave = rng.uniform(-0.3, 0.3), np.pi / width[one]
        u = wave * (np.cos(turn) * row + np.sin(turn) * column)
        v = wave * (np.cos(turn) * column - np.sin(turn) * row)
        thread = [
            np.sin(u) > 0,
            (np.sin(u) > 0) ^ (np.sin(v) > 0),
            np.sin(u) * np.sin(v) > 0.4,
            np.sin(u + 1.5 * np.sin(v / 2)) > 0,
        ][pattern[one]]
        ground, colour = rng.uniform([[20], [150]], [[80], [240]], (2, 3))
        image = np.where(thread[..., None], colour, ground) * rng.uniform(0.6, 1.1)
        images[one] = np.clip(image + rng.normal(0, 12, image.shape), 0, 255)
    return images, {"pattern": pattern, "width": width.astype("float32")}


def settle(backbone: mtl.backbones.KerasBackbone, x: np.ndarray, steps: int) -> None:
    """Gives batch normalisation the statistics of pictures, which pretrained layers have."""
    for layer in backbone.keras_model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # averages that keep up with a short training
    for step in range(steps):
        rows = np.random.default_rng(step).choice(len(x), 32)
        backbone(x[rows].astype("float32"), training=True)


def draw(images: np.ndarray, decoded: dict, path: Path) -> None:
    """Writes a picture of images under what was predicted for them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.2), layout="constrained")
    found = zip(decoded["pattern"]["label"], decoded["width"]["value"], strict=True)
    for ax, image, (label, value) in zip(figure.subplots(1, 6), images, found, strict=False):
        ax.imshow(image)
        ax.set_title(f"{PATTERNS[label]}, {value:.1f} pixels", fontsize=9)
        ax.set_axis_off()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Trains the heads, then fine-tunes, and prints the scores of both beside chance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="few pictures, one epoch, as a test")
    parser.add_argument("--weights", help='a file of weights, or "imagenet" (default: random)')
    parser.add_argument("--from-map", default="stride8", help="fine-tune from this map on")
    parser.add_argument("--save", type=Path, help="where to write the picture")
    options = parser.parse_args()
    samples, epochs = (48, 1) if options.fast else (960, 8)
    x, y = cloth(samples, seed=0)
    x_test, y_test = cloth(samples // 3, seed=1)

    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNet(
        (SIZE, SIZE, 3), alpha=0.25, include_top=False, weights=options.weights
    )
    network = keras.Model(network.input, network.get_layer("conv_pw_5_relu").output)  # enough here
    backbone = mtl.backbones.KerasBackbone(network)  # adds the preprocessing it was trained with
    if not options.weights:
        settle(backbone, x, steps=2 if options.fast else 40)
    print("Maps:", *backbone.feature_names)
    print("Preprocessing:", backbone.get_layer("preprocessing").mode)
    model = mtl.MultiTaskModel(
        backbone,
        [
            mtl.Task("pattern", mtl.heads.ClassificationHead(len(PATTERNS))),
            mtl.Task("width", mtl.heads.RegressionHead()),
        ],
    )

    rows = []

    def train(step: str, rate: float) -> None:
        model.compile(keras.optimizers.Adam(rate))  # decides what is trained
        model.fit(x, y, epochs=epochs, verbose=0)
        trained = sum(int(np.prod(one.shape)) for one in model.trainable_variables)
        print(f"{step}: {trained:,} of {model.count_params():,} weights trained")
        for one in mtl.reports.task_skills(model, x_test, y_test, y):
            rows.append(dataclasses.replace(one, task=f"{step}: {one.task}"))

    model.freeze_backbone()
    train("heads alone", 3e-3)
    model.unfreeze_backbone(from_map=options.from_map)
    train("fine-tuned", 1e-4 if options.weights else 3e-3)  # pretrained weights change little
    print(mtl.metrics.skill_table(rows, title=f"{len(x_test)} test pictures"))
    if options.save:
        draw(x_test, model.predict_tasks(x_test, verbose=0), options.save)


if __name__ == "__main__":
    main()
