"""Balancers on real photographs, beside single tasks, equal weights and tuned weights.

    python tests/benchmarks/balancing.py FOLDER --data eth80 --directory RUNS
    python tests/benchmarks/balancing.py --data rotfashion --methods equal mgda mgda@parameters

FOLDER has `eth80.npz`, `clothing.npz` and `grocery.npz`, photographs of 64x64 pixels in bytes:

- `eth80`: objects on a turntable, with their category (8), azimuth (8 bins of 45 degrees), area and
  mask. Of each category six objects train, two validate and two test.
- `clothing`: kinds of clothes (18), and whether they are for kids. Senders are split 60 : 20 : 20.
- `grocery`: fine (81), coarse (43) and top (3) classes of one hierarchy, with the split of the set.
- `rotfashion`: RotFashion32, identity (10), orientation (32) and intensity; it needs no folder, but
  the files of Fashion-MNIST (see `mtlkit.datasets.rotated_fashion_mnist`).

The split is the same for all seeds. Everything trains with Adam, whose rate falls from 2e-3 to 0 by
a cosine. The last epoch counts. Weights are tuned on the validation data; the test data choose
nothing. With `--directory` a run that was stopped goes on. Prints a table, and writes
`results/balancing_<data>.json`.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

import mtlkit as mtl

RESULTS = Path(__file__).parent / "results"
#: The end of the name of a method that combines gradients at the backbone's weights.
AT_WEIGHTS = "@parameters"
BATCH, RATE, SPLIT_SEED = 64, 2e-3, 0
CATEGORIES, BINS, KINDS, FINE, COARSE, TOP = 8, 8, 18, 81, 43, 3
heads = mtl.heads
Labels = dict[str, np.ndarray]


class Set(NamedTuple):
    """Images, labels, the split of each image (0: train, 1: val, 2: test), and the heads."""

    x: np.ndarray
    y: Labels
    part: np.ndarray
    heads: Callable[[], dict[str, heads.Head]]

    def splits(self, samples: int | None) -> dict[str, tuple[np.ndarray, Labels]]:
        """The splits, with so many images to train on at most."""
        rng, found = np.random.default_rng(SPLIT_SEED), {}
        for number, name in enumerate(("train", "val", "test")):
            rows = np.flatnonzero(self.part == number)
            if name == "train" and samples is not None:
                rows = np.sort(rng.permutation(rows)[:samples])
            found[name] = self.x[rows], {task: labels[rows] for task, labels in self.y.items()}
        return found


def eth80(folder: Path) -> Set:
    """Photographs of 80 objects."""
    data = np.load(folder / "eth80.npz", allow_pickle=False)
    azimuth = np.round(data["azimuth_deg"] / (360 / BINS)).astype("int64") % BINS
    y = {
        "category": data["category"],
        "azimuth": np.where(data["azimuth_deg"] < 0, -1, azimuth),
        "area": data["area"],
        "mask": (data["mask"] > 127).astype("int64"),
    }
    rng, part = np.random.default_rng(SPLIT_SEED), np.zeros(len(data["x"]), int)
    for category in range(CATEGORIES):
        objects = rng.permutation(np.unique(data["object"][data["category"] == category]))
        part[np.isin(data["object"], objects[6:8])] = 1
        part[np.isin(data["object"], objects[8:])] = 2
    return Set(
        data["x"],
        y,
        part,
        lambda: {
            "category": heads.ClassificationHead(CATEGORIES),
            "azimuth": heads.OrientationHead(BINS),
            "area": heads.RegressionHead(),
            "mask": heads.DenseHead(num_classes=2),
        },
    )


def clothing(folder: Path) -> Set:
    """Photographs of clothes, by those who sent them."""
    data = np.load(folder / "clothing.npz", allow_pickle=False)
    senders = np.random.default_rng(SPLIT_SEED).permutation(np.unique(data["sender"]))
    ends = [int(0.6 * len(senders)), int(0.8 * len(senders))]
    part = np.zeros(len(data["x"]), int)
    for number, own in enumerate(np.split(senders, ends)):
        part[np.isin(data["sender"], own)] = number
    return Set(
        data["x"],
        {"label": data["label"], "kids": data["kids"]},
        part,
        lambda: {
            "label": heads.ClassificationHead(KINDS),
            "kids": heads.ClassificationHead(2),
        },
    )


def grocery(folder: Path) -> Set:
    """Photographs of groceries, with the split of the set."""
    data = np.load(folder / "grocery.npz", allow_pickle=False)
    levels = {"fine": FINE, "coarse": COARSE, "top": TOP}
    return Set(
        data["x"],
        {level: data[level] for level in levels},
        data["split"],
        lambda: {level: heads.ClassificationHead(count) for level, count in levels.items()},
    )


def rotfashion(folder: Path | None) -> Set:
    """RotFashion32."""
    data = mtl.datasets.rotated_fashion_mnist(seed=SPLIT_SEED)
    splits = [(x, y) for _, x, y in data.splits()]
    return Set(
        np.concatenate([x for x, _ in splits]),
        {task: np.concatenate([y[task] for _, y in splits]) for task in data.tasks},
        np.repeat([0, 1, 2], [len(x) for x, _ in splits]),
        lambda: {
            "identity": heads.ClassificationHead(10),
            "orientation": heads.OrientationHead(32),
            "intensity": heads.RegressionHead(),
        },
    )


SETS: dict[str, Callable[[Any], Set]] = {
    "eth80": eth80,
    "clothing": clothing,
    "grocery": grocery,
    "rotfashion": rotfashion,
}


def main() -> None:
    """Compares on one set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="where the .npz files are")
    parser.add_argument("--data", choices=list(SETS), default="eth80")
    parser.add_argument("--methods", nargs="+", default=["equal", "tuned", "uw", "famo", "upgrad"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--tuning", type=int, default=8, help="tries of weights")
    parser.add_argument("--samples", type=int, help="images to train on, at most")
    parser.add_argument("--directory", type=Path, help="keeps finished trainings, to go on")
    parser.add_argument("--json", type=Path, help="where the result is written")
    arguments = parser.parse_args()
    if arguments.folder is None and arguments.data != "rotfashion":
        parser.error(f"--data {arguments.data} needs FOLDER")

    chosen = SETS[arguments.data](arguments.folder)
    splits = chosen.splits(arguments.samples)
    x = splits["train"][0]
    steps = arguments.epochs * -(-len(x) // BATCH)

    def build() -> tuple[Any, list[mtl.Task]]:
        tasks = [mtl.Task(name, head) for name, head in chosen.heads().items()]
        return mtl.backbones.ConvBackbone(x.shape[1:]), tasks

    methods = {name: name.removesuffix(AT_WEIGHTS) for name in arguments.methods}
    found = mtl.balancing.compare(
        build,
        splits,
        methods,
        balancer_space={name: "parameters" for name in methods if name.endswith(AT_WEIGHTS)},
        epochs=arguments.epochs,
        seeds=arguments.seeds,
        batch_size=BATCH,
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps)),
        tuning=arguments.tuning,
        directory=arguments.directory,
    )
    print(
        f"\n{arguments.data}, {len(x)} images, {arguments.epochs} epochs\n\n{found.to_markdown()}"
    )
    print(f"\n{found.sentence}")
    path = arguments.json or RESULTS / f"balancing_{arguments.data}.json"
    kept = {
        "set": arguments.data,
        "date": str(datetime.date.today()),
        **json.loads(found.to_json()),
    }
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
