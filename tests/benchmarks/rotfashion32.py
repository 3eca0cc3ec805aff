"""Orientation heads on RotFashion32 or rotated digits: three tasks together, several seeds.

    python tests/benchmarks/rotfashion32.py --seeds 0 1 2 --epochs 10
    python tests/benchmarks/rotfashion32.py --data rotated-digits --runs "polar"

Nothing is chosen on the test split: epochs, seeds and designs are fixed beforehand. Prints a
Markdown table with the mean over seeds and a 95 % t-interval.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy import stats

import mtlkit as mtl

DATA = {
    "rotated-digits": mtl.datasets.rotated_digits,
    "rotated-fashion-mnist": mtl.datasets.rotated_fashion_mnist,
}
BATCH = 64
SCORES = ("orientation_accuracy", "orientation_mae_degrees", "identity_accuracy", "intensity_mae")


@dataclass(frozen=True)
class Run:
    """A model to train: its head for `orientation`, and how."""

    spatial: str = "polar"
    normalize: bool = True
    #: `None`: those of the command.
    epochs: int | None = None
    #: Adam with a cosine decay from this rate, or `None` for plain Adam.
    decay_from: float | None = None
    tasks: tuple[str, ...] = ("identity", "orientation", "intensity")
    #: Whether `intensity` reads the brightest pixel, not the backbone.
    brightest: bool = False
    #: Further arguments of the head.
    head: dict[str, Any] = field(default_factory=dict)


# Chosen on validation images: wider than the default, more dropout, and a rate that decays.
WIDE = {"filters": (32, 64, 64), "hidden_units": 256, "dropout": 0.5}
BEST: dict[str, Any] = {"epochs": 30, "decay_from": 2e-3, "head": WIDE, "brightest": True}
RUNS = {
    "raw pixels, pool, 5 epochs": Run("pool", normalize=False, epochs=5),
    "pool": Run("pool"),
    "pool, cosine decay": Run("pool", decay_from=2e-3),
    "flatten": Run("flatten"),
    "polar": Run("polar"),
    "polar, cosine decay": Run("polar", decay_from=2e-3),
    "best: wide polar, 30 epochs, cosine decay": Run("polar", **BEST),
    "best, identity alone": Run(**BEST, tasks=("identity",)),
    "best, intensity alone": Run(**BEST, tasks=("intensity",)),
    "intensity alone, from the backbone": Run(epochs=30, decay_from=2e-3, tasks=("intensity",)),
}


def three_tasks(head: mtl.heads.Head) -> list[mtl.Task]:
    """The tasks, with a head for `orientation`."""
    return [
        mtl.Task("identity", mtl.heads.ClassificationHead(10)),
        mtl.Task("orientation", head),
        mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="stop"),
    ]


def tasks_of(spec: Run) -> list[mtl.Task]:
    """The tasks of a run."""
    tasks = [
        mtl.Task("identity", mtl.heads.ClassificationHead(10)),
        mtl.Task("orientation", mtl.heads.OrientationHead(32, spatial=spec.spatial, **spec.head)),
        intensity_of(spec),
    ]
    return [task for task in tasks if task.name in spec.tasks]


def intensity_of(spec: Run) -> mtl.Task:
    """The task `intensity`. Alone, it may train the backbone; beside other tasks it must not."""
    if spec.brightest:
        head = mtl.heads.RegressionHead(pooling="max", hidden_units=64)
        return mtl.Task("intensity", head, feature="input", gradient="stop")
    alone = spec.tasks == ("intensity",)
    return mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="flow" if alone else "stop")


def run(spec: Run, data_name: str, epochs: int, seed: int) -> dict[str, float]:
    """Trains one model; returns its test scores."""
    data = DATA[data_name](seed=seed)
    keras.utils.set_random_seed(seed)
    backbone = mtl.backbones.ConvBackbone(normalize=spec.normalize)
    model = mtl.MultiTaskModel(backbone, tasks_of(spec))
    rate: object = 1e-3
    if spec.decay_from is not None:
        steps = epochs * -(-len(data.x_train) // BATCH)
        rate = keras.optimizers.schedules.CosineDecay(spec.decay_from, steps)
    model.compile(keras.optimizers.Adam(rate))
    labels = {name: data.y_train[name] for name in spec.tasks}
    start = time.perf_counter()
    model.fit(data.x_train, labels, batch_size=BATCH, epochs=epochs, verbose=2)
    seconds = time.perf_counter() - start
    test = {name: data.y_test[name] for name in spec.tasks}
    scores = model.evaluate(data.x_test, test, return_dict=True, verbose=0)
    found = {name: float(scores[name]) for name in SCORES if name in scores}
    return {**found, "seconds": seconds}


def mean_and_half(values: list[float]) -> tuple[float, float]:
    """Mean over seeds and half of its 95 % t-interval (NaN for a single seed)."""
    if len(values) < 2:
        return float(np.mean(values)), float("nan")
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return float(np.mean(values)), float(half)


def interval(values: list[float]) -> str:
    """Mean and 95 % t-interval over seeds, as text."""
    if not values:
        return ""
    mean, half = mean_and_half(values)
    return f"{mean:.3f}" if np.isnan(half) else f"{mean:.3f} ± {half:.3f}"


def table(what: str, scores: dict[str, list[dict[str, float]]], columns: Sequence[str]) -> str:
    """The scores of several seeds by name, as a Markdown table."""
    lines = [f"| {what} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, rows in scores.items():
        cells = [interval([row[c] for row in rows if c in row]) for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Runs all designs and seeds, and prints the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=list(DATA), default="rotated-fashion-mnist")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--runs", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--json", type=Path, help="where to write every single score")
    arguments = parser.parse_args()
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.runs}
    for seed in arguments.seeds:
        for name in arguments.runs:
            epochs = RUNS[name].epochs or arguments.epochs
            scores[name].append(run(RUNS[name], arguments.data, epochs, seed))
            print(name, "seed", seed, scores[name][-1], flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps(scores, indent=1))
    print(
        f"\n{arguments.data}, {datetime.date.today()}, Keras {keras.__version__} on "
        f"{keras.backend.backend()}, seeds {arguments.seeds}, {arguments.epochs} epochs where "
        "not said otherwise\n"
    )
    columns = (*SCORES, "seconds")
    print(table("head", scores, columns))


if __name__ == "__main__":
    main()
