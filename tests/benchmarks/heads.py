"""Every head design in the three-task model, on one data set: equal budget, several seeds.

    python tests/benchmarks/heads.py --data rotated-digits --json digits.json
    python tests/benchmarks/heads.py --data rotated-fashion-mnist --epochs 5 --json fashion.json

Every run trains `identity`, `orientation` and `intensity` together on standardised images, with
Adam and a cosine decay of its rate. Nothing is chosen on the test split. The last row is a
control: `flatten` with the training labels of `orientation` permuted, which must land at
chance. (`polar` would not do: it turns with the image, so that without a signal its
predictions are off by much the same angle everywhere.) Runs that the JSON file already holds
are not repeated, so that the benchmark can be interrupted and continued. Prints a Markdown
table with means over seeds and 95 % t-intervals, and draws it next to the JSON file.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from results_file import resumed
from rotfashion32 import DATA
from table_texts import head_table

import mtlkit as mtl

NUM_BINS = 32


def orientation(**options: Any) -> Callable[[], mtl.heads.Head]:
    return lambda: mtl.heads.OrientationHead(NUM_BINS, **{"spatial": "polar", **options})


def contrastive(**options: Any) -> Callable[[], mtl.heads.Head]:
    return lambda: mtl.heads.ContrastiveHead(NUM_BINS, **options)


def hierarchical(**options: Any) -> Callable[[], mtl.heads.Head]:
    return lambda: mtl.heads.HierarchicalHead(mtl.Hierarchy.circular(NUM_BINS, 8), **options)


SPATIAL = ("pool", "flatten", "coord", "spatial_softmax", "attention", "gradient_histogram")
HEADS: dict[str, Callable[[], mtl.heads.Head]] = {
    **{spatial: orientation(spatial=spatial) for spatial in (*SPATIAL, "orbit", "polar")},
    "polar, smooth": orientation(target="smooth"),
    "polar, von Mises": orientation(target="von_mises"),
    "polar, smooth, 0.1 EMD": orientation(target="smooth", emd_weight=0.1),
    "polar, sincos": orientation(target="sincos"),
    "polar, phase shift": orientation(target="phase_shift"),
    "contrastive, SupCon": contrastive(loss="supcon"),
    "contrastive, circular SupCon": contrastive(loss="soft_supcon"),
    "contrastive, Rank-N-Contrast": contrastive(loss="rank_n_contrast"),
    "contrastive, CosFace": contrastive(loss="cosface"),
    "contrastive, Proxy-Anchor": contrastive(loss="proxy_anchor"),
    "hierarchical, conditional": hierarchical(loss="conditional"),
    "hierarchical, marginal": hierarchical(loss="marginal"),
    "hierarchical, HXE": hierarchical(loss="hxe"),
    "hierarchical, frame": hierarchical(loss="frame"),
}
CONTROL = "flatten, labels permuted"


def pose_scores(
    label: np.ndarray, degrees: np.ndarray, true: np.ndarray, num_bins: int
) -> dict[str, float]:
    """Scores of predicted bins and angles."""
    bins = np.abs((label - true + num_bins // 2) % num_bins - num_bins // 2)
    off = np.abs((degrees - true * 360 / num_bins + 180) % 360 - 180)
    return {
        "accuracy": float(np.mean(bins == 0)),
        "within_1": float(np.mean(bins <= 1)),
        "mae_degrees": float(np.mean(off)),
    }


def scored(model: mtl.MultiTaskModel, x: Any, y: dict[str, np.ndarray]) -> dict[str, float]:
    """Scores of the test split, alike for every head: from what it decodes."""
    decoded = model.predict_tasks(x, verbose=0)
    found = decoded["orientation"]
    degrees = found.get("degrees", found["label"] * 360 / NUM_BINS)
    return {
        **pose_scores(found["label"], degrees, y["orientation"], NUM_BINS),
        "identity_accuracy": np.mean(decoded["identity"]["label"] == y["identity"]),
        "intensity_mae": np.mean(np.abs(decoded["intensity"]["value"] - y["intensity"])),
    }


def run(name: str, data_name: str, seed: int, epochs: int) -> dict[str, float]:
    """Trains one model; returns its test scores, parameters and seconds an epoch."""
    data = DATA[data_name](seed=seed)
    labels = dict(data.y_train)
    if name == CONTROL:
        labels["orientation"] = np.random.default_rng(seed).permutation(labels["orientation"])
    keras.utils.set_random_seed(seed)
    head = HEADS["flatten" if name == CONTROL else name]()
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone(),
        [
            mtl.Task("identity", mtl.heads.ClassificationHead(10)),
            mtl.Task("orientation", head),
            mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="stop"),
        ],
    )
    steps = epochs * -(-len(data.x_train) // 64)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)))
    start = time.perf_counter()
    model.fit(data.x_train, labels, batch_size=64, epochs=epochs, verbose=2)
    seconds = (time.perf_counter() - start) / epochs
    scores = {key: float(value) for key, value in scored(model, data.x_test, data.y_test).items()}
    return {**scores, "parameters": head.count_params(), "seconds_per_epoch": seconds}


def draw(results: dict[str, dict[str, dict[str, float]]], title: str, path: Path) -> None:
    """Draws accuracies, a dot a seed, and the mean error beside them."""
    from matplotlib.figure import Figure

    names = sorted(results, key=lambda name: _mean(results[name], "accuracy"))
    figure = Figure(figsize=(9, 0.3 * len(names) + 1.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, score, chance in ((left, "accuracy", 1 / NUM_BINS), (right, "mae_degrees", 90.0)):
        axes.axvline(chance, color="grey", linestyle=":", label="chance")
        axes.barh(names, [_mean(results[name], score) for name in names], color="#9ecae1")
        for name in names:
            values = [row[score] for row in results[name].values()]
            axes.plot(values, [name] * len(values), "o", color="#08519c", markersize=3)
    left.set_xlabel("accuracy")
    right.set_xlabel("mean absolute error (degrees)")
    right.legend(loc="lower right", frameon=False)
    figure.suptitle(title)
    figure.savefig(path, dpi=120)


def _mean(by_seed: dict[str, dict[str, float]], score: str) -> float:
    return float(np.mean([row[score] for row in by_seed.values()]))


def main() -> None:
    """Runs what the JSON file does not hold yet, and prints the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=list(DATA), default="rotated-digits")
    parser.add_argument("--heads", nargs="+", choices=[*HEADS, CONTROL], default=[*HEADS, CONTROL])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--json", type=Path, required=True, help="where scores are kept")
    arguments = parser.parse_args()

    settings = {"data": arguments.data, "epochs": arguments.epochs}
    kept = resumed(arguments.json, parser, settings)
    results = kept["results"]
    for seed in arguments.seeds:
        for name in arguments.heads:
            if str(seed) in results.get(name, {}):
                continue
            row = run(name, arguments.data, seed, arguments.epochs)
            results.setdefault(name, {})[str(seed)] = row
            print(name, "seed", seed, row, flush=True)
            kept["date"] = str(datetime.date.today())
            kept["versions"] = f"Keras {keras.__version__} on {keras.backend.backend()}"
            arguments.json.write_text(json.dumps(kept, indent=1))
    title = f"{arguments.data}, {arguments.epochs} epochs, {kept['versions']}, {kept['date']}"
    print(f"\n{title}\n\n{head_table(results, times=True)}")
    draw(results, title, arguments.json.with_suffix(".png"))


if __name__ == "__main__":
    main()
