"""Orientation heads on RotFashion32: all three tasks together, several seeds.

    python tests/benchmarks/rotfashion32.py --seeds 0 1 2 --epochs 10

Nothing is chosen on the test split: epochs, seeds and designs are fixed beforehand. Prints a
Markdown table with the mean over seeds and a 95 % t-interval.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from pathlib import Path

import keras
import numpy as np
from scipy import stats

import mtlkit as mtl

SCORES = ("orientation_accuracy", "orientation_mae_degrees", "identity_accuracy", "intensity_mae")
#: name: (normalised input, spatial design, epochs or None for the command's)
RUNS = {
    "raw pixels, pool, 5 epochs": (False, "pool", 5),
    "pool": (True, "pool", None),
    "flatten": (True, "flatten", None),
    "polar": (True, "polar", None),
}


def run(normalize: bool, spatial: str, epochs: int, seed: int) -> dict[str, float]:
    """Trains one model; returns its test scores."""
    data = mtl.datasets.rotated_fashion_mnist(seed=seed)
    keras.utils.set_random_seed(seed)
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone(normalize=normalize),
        [
            mtl.Task("identity", mtl.heads.ClassificationHead(10)),
            mtl.Task("orientation", mtl.heads.OrientationHead(32, spatial=spatial)),
            mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="stop"),
        ],
    )
    model.compile("adam")
    start = time.perf_counter()
    model.fit(data.x_train, data.y_train, batch_size=64, epochs=epochs, verbose=2)
    seconds = (time.perf_counter() - start) / epochs
    scores = model.evaluate(data.x_test, data.y_test, return_dict=True, verbose=0)
    return {**{name: float(scores[name]) for name in SCORES}, "seconds_per_epoch": seconds}


def interval(values: list[float]) -> str:
    """Mean and 95 % t-interval over seeds."""
    mean = np.mean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{mean:.3f} ± {half:.3f}"


def main() -> None:
    """Runs all designs and seeds, and prints the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--runs", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--json", type=Path, help="where to write every single score")
    arguments = parser.parse_args()
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.runs}
    for seed in arguments.seeds:
        for name in arguments.runs:
            normalize, spatial, epochs = RUNS[name]
            scores[name].append(run(normalize, spatial, epochs or arguments.epochs, seed))
            print(name, "seed", seed, scores[name][-1], flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps(scores, indent=1))
    print(
        f"\n{datetime.date.today()}, Keras {keras.__version__} on {keras.backend.backend()}, "
        f"seeds {arguments.seeds}, {arguments.epochs} epochs where not said otherwise\n"
    )
    print("| head | " + " | ".join(SCORES) + " |")
    print("|---" * (len(SCORES) + 1) + "|")
    for name, rows in scores.items():
        print(f"| {name} | " + " | ".join(interval([r[s] for r in rows]) for s in SCORES) + " |")


if __name__ == "__main__":
    main()
