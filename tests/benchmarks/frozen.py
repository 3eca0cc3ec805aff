"""What cached features save: trials on a frozen backbone, against trials that train it.

    python tests/benchmarks/frozen.py

One head of each family on RotFashion32, few epochs. Trials of both kinds alternate; the table
has the ratio of their times (the features are computed before, once), and how far the scores
are from those of the same trial on images, with the backbone frozen but nothing cached.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

import mtlkit as mtl
from mtlkit.search.data import Batches, SearchData
from mtlkit.search.frozen import FrozenFeatures
from mtlkit.search.head_space import HeadSpace
from mtlkit.search.training import decayed

BATCH = 64


def fitted(model: keras.Model, data: SearchData, point: Any, space: HeadSpace, epochs: int) -> Any:
    """Trains as a trial does; returns the scores on validation data, and seconds."""
    data = data.for_tasks(model.tasks)
    steps = epochs * -(-data.samples // BATCH)
    model.compile(keras.optimizers.Adam(decayed(space.learning_rate(point), steps)))
    start = time.perf_counter()
    history = model.fit(
        Batches(data, BATCH, space.seed_of(point)),
        validation_data=(data.x_val, data.y_val),
        validation_batch_size=256,
        epochs=epochs,
        verbose=0,
    )
    return history.history["val_orientation_accuracy"][-1], time.perf_counter() - start


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    data = SearchData.of(mtl.datasets.rotated_fashion_mnist(seed=0), "orientation")
    tasks = [
        mtl.Task("identity", mtl.heads.ClassificationHead(10)),
        mtl.Task("orientation", mtl.heads.OrientationHead(32, spatial="pool")),
        mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="stop"),
    ]
    space = HeadSpace(mtl.backbones.ConvBackbone(), tasks, "orientation")
    space.adapt(data.x)
    points = {
        f"{point['family']}, {next(v for k, v in point.items() if '.' in k)}": point
        for point in space.initial_points()
        if point["family"] != "orientation"
        or point["orientation.spatial"] in ("pool", "flatten", "attention", "polar")
    }
    print(f"{datetime.date.today()}, Keras {keras.__version__} on {keras.backend.backend()}\n")
    print("| head | trained, s | cached, s | ratio | score off by |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        frozen = FrozenFeatures(space, data, Path(folder))
        for name, point in points.items():
            frozen.model(point)  # which computes the features
            whole = space.build(point)
            whole.freeze_backbone()
            expected, _ = fitted(whole, data, point, space, arguments.epochs)
            times: list[tuple[float, float]] = []
            for _ in range(arguments.repeats):
                _, trained = fitted(space.build(point), data, point, space, arguments.epochs)
                model, features = frozen.model(point)
                score, cached = fitted(model, features, point, space, arguments.epochs)
                times.append((trained, cached))
            slow, fast = np.median(times, axis=0)
            ratio = np.median([a / b for a, b in times])
            off = abs(score - expected)
            print(f"| {name} | {slow:.1f} | {fast:.1f} | {ratio:.1f} | {off:.4f} |", flush=True)


if __name__ == "__main__":
    main()
