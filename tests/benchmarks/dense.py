"""A DenseHead beside the same network written by hand: what each pixel of a photograph shows.

    python tests/benchmarks/dense.py FOLDER

FOLDER has `eth80.npz`: photographs of 80 objects on a turntable, 64x64, with a mask and the
category of the object. Each pixel is background or one of the eight categories. Six objects of each
category train, two others test; two are left for choices, of which there are none here.

The network by hand is plain Keras: the three convolutions of `ConvBackbone`, and the same sums of
maps with `UpSampling2D`. Both train with the same optimizer, batches and epochs, and the mean
intersection over union is computed of their predictions with NumPy. With `--partial` nine in ten
pixels of the training images have no label, for both.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

import mtlkit as mtl

RESULTS = Path(__file__).parent / "results" / "dense.json"
FILTERS, CHANNELS, CLASSES, SIZE = (32, 64, 128), 64, 9, 64
EPOCHS, BATCH = 8, 32


def photographs(folder: Path, seed: int) -> tuple[Any, Any]:
    """Images and classes of pixels: `(x, y)` of the objects that train, and of those that test."""
    data = np.load(folder / "eth80.npz", allow_pickle=False)
    x = data["x"].astype("float32") / 255
    y = np.where(data["mask"] > 127, 1 + data["category"][:, None, None], 0).astype("int64")
    rng = np.random.default_rng(seed)
    part = np.zeros(len(x), int)
    for category in range(8):
        objects = rng.permutation(np.unique(data["object"][data["category"] == category]))
        part[np.isin(data["object"], objects[6:8])] = 1
        part[np.isin(data["object"], objects[8:])] = 2
    return (x[part == 0], y[part == 0]), (x[part == 2], y[part == 2])


def by_hand(x: np.ndarray) -> keras.Model:
    """The network in plain Keras."""
    normalization = layers.Normalization()
    normalization.adapt(x)
    image = keras.Input((SIZE, SIZE, 3))
    feature, maps = normalization(image), []
    for number, filters in enumerate(FILTERS):
        if number:
            feature = layers.MaxPooling2D()(feature)
        feature = layers.ReLU()(layers.Conv2D(filters, 3, padding="same")(feature))
        maps.append(feature)
    joined: Any = None
    for feature in reversed(maps):
        own = layers.Conv2D(CHANNELS, 1)(feature)
        if joined is not None:
            own = layers.add([own, layers.UpSampling2D(interpolation="bilinear")(joined)])
        joined = layers.Conv2D(CHANNELS, 3, padding="same", activation="relu")(own)
    model = keras.Model(image, layers.Dense(CLASSES)(joined))
    # Keras keeps a class that is ignored out of the mean.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    return model


def with_head() -> mtl.MultiTaskModel:
    """The model of the library, with its defaults."""
    backbone = mtl.backbones.ConvBackbone((SIZE, SIZE, 3), filters=FILTERS)
    model = mtl.MultiTaskModel(
        backbone, [mtl.Task("pixels", mtl.heads.DenseHead(num_classes=CLASSES, channels=CHANNELS))]
    )
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def mean_iou(true: np.ndarray, predicted: np.ndarray) -> float:
    """The mean over classes, of all test pixels."""
    pairs = np.bincount((CLASSES * true + predicted).ravel(), minlength=CLASSES**2)
    counts = pairs.reshape(CLASSES, CLASSES).astype("float64")
    both = np.diag(counts)
    return float(np.mean(both / (counts.sum(0) + counts.sum(1) - both)))


def scored(kind: str, folder: Path, seed: int, partial: bool) -> dict[str, float]:
    """Trains one network, and judges it on the test objects."""
    (x, y), (x_test, y_test) = photographs(folder, seed)
    if partial:
        y = np.where(np.random.default_rng(seed).random(y.shape) < 0.9, -1, y)
    keras.utils.set_random_seed(seed)
    start = time.perf_counter()
    if kind == "by hand":
        model: Any = by_hand(x)
        model.fit(x, y, epochs=EPOCHS, batch_size=BATCH, verbose=0)
        logits = model.predict(x_test, verbose=0)
    else:
        model = with_head()
        model.fit(x, {"pixels": y}, epochs=EPOCHS, batch_size=BATCH, verbose=0)
        logits = model.predict(x_test, verbose=0)["pixels"]
    seconds = time.perf_counter() - start
    score = {"mean_iou": mean_iou(y_test, logits.argmax(-1)), "seconds": round(seconds, 1)}
    print(kind, seed, "partial" if partial else "whole", score, flush=True)
    return {"seed": seed, **score}


def main() -> None:
    """Trains both on each seed, in turn, prints a table, and keeps the scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--partial", action="store_true")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {"by hand": [], "DenseHead": []}
    for seed in arguments.seeds:
        for kind, runs in rows.items():
            runs.append(scored(kind, arguments.folder, seed, arguments.partial))
    means = {}
    for kind, runs in rows.items():
        scores = np.array([run["mean_iou"] for run in runs])
        error = scores.std(ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else float("nan")
        means[kind] = {"mean_iou": float(scores.mean()), "standard_error": float(error)}
        print(f"{kind:10} mean IoU {scores.mean():.3f}, standard error {error:.3f}")
    kept = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    kept["1 of 10 pixels labelled" if arguments.partial else "all pixels labelled"] = {
        "date": str(datetime.date.today()),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "mtlkit": mtl.__version__,
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "means": means,
        "runs": rows,
    }
    arguments.output.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
