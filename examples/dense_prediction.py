"""Something for each pixel: what it shows, and how far away it is.

Discs and squares lie on a noisy ground. `mask` is a class for each pixel, of which a third is
not labelled; `depth` is a number for each pixel. One backbone serves both. Scores stand beside
those of the best constant: all ground, and the median depth.

Run it with `python examples/dense_prediction.py`; `--help` tells the options.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

import mtlkit as mtl

SIZE = 32


def shapes(samples: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns images, their masks (0: ground, 1: disc, 2: square), and depths in metres."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    images = np.zeros((samples, SIZE, SIZE, 1), "float32")
    masks = np.zeros((samples, SIZE, SIZE), "int64")
    depths = np.full((samples, SIZE, SIZE), 10.0, "float32")
    for image, mask, depth in zip(images, masks, depths, strict=True):
        for metres in sorted(rng.uniform(2, 8, 3), reverse=True):  # the nearest comes last
            row, column = rng.uniform(4, SIZE - 4, 2)
            kind, half = rng.integers(1, 3), 20 / (metres + 2)  # what is near is large
            high, wide = np.abs(rows - row), np.abs(columns - column)
            inside = np.hypot(high, wide) < half if kind == 1 else np.maximum(high, wide) < half
            mask[inside], depth[inside] = kind, metres
            image[inside] = rng.uniform(0.5, 1)
    return images + rng.normal(0, 0.15, images.shape).astype("float32"), {
        "mask": masks,
        "depth": depths,
    }


def mean_iou(true: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the intersection over union, as the mean of the three classes."""
    pairs = [(true == kind, predicted == kind) for kind in range(3)]
    return float(np.mean([(a & b).sum() / (a | b).sum() for a, b in pairs]))


def draw(images: np.ndarray, rows: dict[str, np.ndarray], path: Path) -> None:
    """Writes a picture of the first images, with what is true and what is predicted."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    rows = {"image": images[..., 0], **rows}
    for axes, (name, pixels) in zip(figure.subplots(len(rows), 6), rows.items(), strict=True):
        for ax, one in zip(axes, pixels, strict=False):
            colours = "gray" if name == "image" else "viridis"
            ax.imshow(one, colours, vmin=pixels.min(), vmax=pixels.max())
            ax.set(xticks=[], yticks=[])
        axes[0].set_ylabel(name)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Trains both tasks, and scores them beside a constant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="few images and one epoch, as a test")
    parser.add_argument("--save", type=Path, help="where to write the picture")
    options = parser.parse_args()
    samples, epochs = (64, 1) if options.fast else (1000, 12)
    keras.utils.set_random_seed(0)
    x, y = shapes(samples, seed=0)
    x_test, y_test = shapes(200, seed=1)
    unknown = np.random.default_rng(2).random(y["mask"].shape) < 1 / 3
    y["mask"][unknown] = -1  # nobody has looked there

    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone((SIZE, SIZE, 1), filters=(16, 32, 32)),
        [
            mtl.Task("mask", mtl.heads.DenseHead(num_classes=3, channels=32)),
            mtl.Task("depth", mtl.heads.DenseHead(units=1, channels=32)),
        ],
    )
    model.compile(keras.optimizers.Adam(2e-3))
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)

    found = model.predict_tasks(x_test, verbose=0)
    mask, depth = found["mask"]["label"], found["depth"]["value"]
    ground = mean_iou(y_test["mask"], np.zeros_like(mask))
    print(f"mask:  mean IoU {mean_iou(y_test['mask'], mask):.3f} (all ground: {ground:.3f})")
    error = np.abs(depth - y_test["depth"]).mean()
    constant = np.abs(np.median(y["depth"]) - y_test["depth"]).mean()
    print(f"depth: mean error {error:.2f} m (the median everywhere: {constant:.2f} m)")
    on_object = y_test["mask"] > 0
    error = np.abs(depth - y_test["depth"])[on_object].mean()
    median = np.median(y_test["depth"][on_object])
    constant = np.abs(median - y_test["depth"])[on_object].mean()
    print(f"depth of objects alone: {error:.2f} m (their median: {constant:.2f} m)")
    if options.save:
        rows = {"mask": y_test["mask"], "predicted": mask, "depth": y_test["depth"]}
        draw(x_test, {**rows, "predicted depth": depth}, options.save)


if __name__ == "__main__":
    main()
