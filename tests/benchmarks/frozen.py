"""What cached features save: trials on a frozen backbone, against trials that train it.

    python tests/benchmarks/frozen.py
    python tests/benchmarks/frozen.py --backbone MobileNetV3Small --samples 1000 --repeats 1

One head of each family on RotFashion32, few epochs. Trials of both kinds alternate; the table
has their times, with those of building the models, and the median of the ratios (features
and other tasks, which all trials share, are computed before, once). The last column is how far
the score is from that of the same trial on images, with all tasks, the backbone frozen, and
nothing cached. A row `all` sums up. With `--backbone`, a model of `keras.applications` without
weights takes the place of the default backbone, and images are three times as wide.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

import mtlkit as mtl
from mtlkit.search._data import SearchData
from mtlkit.search._frozen import FrozenFeatures
from mtlkit.search._head_space import HeadSpace
from mtlkit.search._training import Watch, train

BATCH = 64


def fitted(make: Any, point: Any, space: HeadSpace, epochs: int) -> tuple[float, float]:
    """Trains as a trial does; returns the score on validation data, and CPU-seconds."""
    start = time.process_time()
    model, data = make(point)
    watch = Watch("val_orientation_accuracy", "max")
    train(
        model,
        data,
        watch,
        learning_rate=space.learning_rate(point),
        batch_size=BATCH,
        epochs=epochs,
        seed=space.seed_of(point),
    )
    return watch.curves[watch.metric][-1], time.process_time() - start


def backbone_of(name: str | None) -> Any:
    """The default backbone, or one of `keras.applications`, and how much wider images are."""
    if name is None:
        return mtl.backbones.ConvBackbone(), 1
    shape, application = (96, 96, 3), getattr(keras.applications, name)
    return mtl.backbones.KerasBackbone(
        application(include_top=False, weights=None, input_shape=shape)
    ), 3


def coloured(images: np.ndarray, times: int) -> np.ndarray:
    """Larger images of three channels, in bytes' range, or images as they are."""
    if times == 1:
        return images
    return 255 * images.repeat(times, 1).repeat(times, 2).repeat(3, 3)


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--backbone", help="such as MobileNetV3Small")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--heads", nargs="+", help='such as "orientation, pool"; default: all')
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    images = mtl.datasets.rotated_fashion_mnist(num_train=arguments.samples, num_val=1000, seed=0)
    backbone, times = backbone_of(arguments.backbone)
    data = SearchData.of(images, "orientation")
    data = replace(data, x=coloured(data.x, times), x_val=coloured(data.x_val, times))
    tasks = [
        mtl.Task("identity", mtl.heads.ClassificationHead(10)),
        mtl.Task("orientation", mtl.heads.OrientationHead(32, spatial="pool")),
        mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="stop"),
    ]
    space = HeadSpace(backbone, tasks, "orientation")
    space.adapt(data.x)
    points = {
        f"{point['family']}, {next(v for k, v in point.items() if '.' in k)}": point
        for point in space.initial_points()
        if point["family"] != "orientation"
        or point["orientation.spatial"] in ("pool", "flatten", "attention", "polar", "orbit")
    }
    chosen = arguments.heads or list(points)
    if unknown := set(chosen) - set(points):
        parser.error(f"expected heads out of {list(points)}; received {sorted(unknown)}")
    print(f"{datetime.date.today()}, Keras {keras.__version__} on {keras.backend.backend()}")
    print(f"{arguments.epochs} epochs, {arguments.repeats} repeats\n")
    print("| head | trained, s | cached, s | ratio | score off by |")
    print("|---|---|---|---|---|", flush=True)
    everything: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        frozen = FrozenFeatures(space, data, Path(folder))
        for name, point in ((name, points[name]) for name in chosen):
            frozen.trial(point)  # which computes the features

            def trained(point: Any) -> Any:
                return space.build(point), data

            def uncached(point: Any) -> Any:
                model = space.build(point)
                model.freeze_backbone()
                return model, data

            expected, _ = fitted(uncached, point, space, arguments.epochs)
            seconds: list[tuple[float, float]] = []
            for _ in range(arguments.repeats):
                _, long = fitted(trained, point, space, arguments.epochs)
                score, short = fitted(frozen.trial, point, space, arguments.epochs)
                seconds.append((long, short))
            slow, fast = np.median(seconds, axis=0)
            ratio = np.median([a / b for a, b in seconds])
            off = abs(score - expected)
            print(f"| {name} | {slow:.1f} | {fast:.1f} | {ratio:.1f} | {off:.4f} |", flush=True)
            everything.append((slow, fast))
    slow, fast = np.sum(everything, axis=0)
    print(f"| all | {slow:.1f} | {fast:.1f} | {slow / fast:.1f} | |")


if __name__ == "__main__":
    main()
