"""A regression whose labels are in thousands, beside two classifications.

    python tests/benchmarks/label_scale.py

Rotated digits: identity (10 classes), orientation (32 bins, a flatten head) and intensity share
one backbone, and no gradient is stopped. Intensity is given as it is, from 0.2 to 1, or in
another unit, from 3,000 to 10,000; its head standardises labels or takes them as they are.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import warnings
from pathlib import Path

import keras
import numpy as np

import mtlkit as mtl

RESULTS = Path(__file__).parent / "results" / "label_scale.md"
#: The slope and offset of each unit of intensity.
UNITS = {"0.2 to 1": (1.0, 0.0), "3,000 to 10,000": (8750.0, 1250.0)}


def trained(unit: str, standardize: bool, seed: int, epochs: int) -> list[float]:
    """Returns the accuracies of the classes, the error of intensity and the first losses."""
    data = mtl.datasets.rotated_digits(copies=2, seed=seed)
    slope, offset = UNITS[unit]
    train, test = (
        {**y, "intensity": slope * y["intensity"] + offset} for y in (data.y_train, data.y_test)
    )
    keras.utils.set_random_seed(seed)
    heads = mtl.heads
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone(filters=(16, 32, 32)),
        [
            mtl.Task("identity", heads.ClassificationHead(10, "flatten")),
            mtl.Task("orientation", heads.OrientationHead(32, "flatten")),
            mtl.Task("intensity", heads.RegressionHead(standardize=standardize)),
        ],
    )
    model.compile("adam")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it says what is measured here
        history = model.fit(data.x_train, train, batch_size=64, epochs=epochs, verbose=0).history
    decoded = model.predict_tasks(data.x_test, verbose=0)
    right = [np.mean(decoded[n]["label"] == test[n]) for n in ("identity", "orientation")]
    error = np.mean(np.abs(decoded["intensity"]["value"] - test["intensity"])) / slope
    return [*map(float, right), float(error), history["intensity_loss"][0]]


def table(rows: dict[tuple[str, bool], list[list[float]]]) -> str:
    """A line for each unit and head: means and standard deviations over seeds."""
    lines = [
        "| labels of intensity | standardize | identity, accuracy | orientation, accuracy | "
        "intensity, MAE in the first unit | its loss, first epoch |",
        "|---|---|---|---|---|---|",
    ]
    for (unit, standardize), runs in rows.items():
        mean, spread = np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1)
        lines.append(
            f"| {unit} | {standardize} | {mean[0]:.1%} ± {spread[0]:.1%} | "
            f"{mean[1]:.1%} ± {spread[1]:.1%} | {mean[2]:.3f} ± {spread[2]:.3f} | {mean[3]:.3g} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Trains all, prints the table, and keeps it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows: dict[tuple[str, bool], list[list[float]]] = {}
    for unit in UNITS:
        for standardize in (False, True):
            rows[unit, standardize] = [
                trained(unit, standardize, seed, arguments.epochs)
                for seed in range(arguments.seeds)
            ]
            print(unit, standardize, rows[unit, standardize], flush=True)
    text = f"""# Labels of a regression in thousands, beside two classifications

`python tests/benchmarks/label_scale.py`

{datetime.date.today()}, Keras {keras.__version__} on {keras.backend.backend()},
mtlkit {mtl.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores;
{arguments.epochs} epochs, {arguments.seeds} seeds, mean ± standard deviation, 500 test images.

{table(rows)}
"""
    arguments.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
