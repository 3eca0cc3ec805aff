"""Searching a head on given features, against logistic regression on the same features.

    python tests/benchmarks/frozen_features.py FEATURES.npz ... --json frozen_features.json

A file has `x`, features of shape (samples, numbers), such as those of a pretrained network;
`split`, of 0 to train on, 1 to choose by and 2 to judge by; and one array for each task, of
classes, -1 where there is no label. Every task is searched beside the others, the features as a
frozen backbone, and the best model judged on the last split. Logistic regression reads
standardised features, with the regularisation that is best on the second split. Nothing is chosen
on the last one. What the JSON file holds already is not repeated.
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from results_file import resumed
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from table_texts import interval

import mtlkit as mtl

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


class Split(NamedTuple):
    """Features and labels by task."""

    x: np.ndarray
    y: dict[str, np.ndarray]


def splits_of(path: Path) -> list[Split]:
    """The three splits of a file."""
    with np.load(path, allow_pickle=False) as kept:
        arrays = {name: kept[name] for name in kept.files}
    x, split = arrays.pop("x").astype("float32"), arrays.pop("split")
    y = {task: labels.astype("int64") for task, labels in arrays.items()}
    return [Split(x[split == n], {k: v[split == n] for k, v in y.items()}) for n in range(3)]


def right(predicted: np.ndarray, labels: np.ndarray) -> float:
    """The share of labelled samples that are predicted right."""
    return float(np.mean(predicted[labels >= 0] == labels[labels >= 0]))


def logistic_regression(parts: list[Split], task: str) -> float:
    """Its accuracy on the last split."""
    train, chosen_by, test = parts
    known = train.y[task] >= 0
    found = []
    for strength in STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
        model.fit(train.x[known], train.y[task][known])
        scores = [right(model.predict(part.x), part.y[task]) for part in (chosen_by, test)]
        found.append(scores)
    return max(found, key=lambda scores: scores[0])[1]


def searched(parts: list[Split], task: str, seed: int, seconds: float) -> dict[str, Any]:
    """The accuracy of the head that a search finds, and which head that is."""
    train, chosen_by, test = parts
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(train.x.shape[1:])
    backbone = keras.Model(inputs, keras.layers.Identity()(inputs))
    heads = {name: mtl.heads.ClassificationHead(int(y.max()) + 1) for name, y in train.y.items()}
    tasks = [mtl.Task(name, head) for name, head in heads.items()]
    with tempfile.TemporaryDirectory() as folder:
        result = mtl.search.search_heads(
            backbone,
            tasks,
            task,
            (tuple(train), tuple(chosen_by)),
            time_budget=seconds,
            freeze_backbone=True,
            directory=folder,
            seed=seed,
            verbose=0,
        )
        decoded = result.best_model().predict_tasks(test.x, verbose=0)
        return {
            "search": right(decoded[task]["label"], test.y[task]),
            "head": result.code().splitlines()[0],
            "trials": len(result.trials),
        }


def main() -> None:
    """Runs what the JSON file does not hold yet, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--json", type=Path, required=True, help="where scores are kept")
    arguments = parser.parse_args()
    kept = resumed(arguments.json, parser, {"seconds": arguments.seconds})
    for path in arguments.files:
        parts = splits_of(path)
        for task in parts[0].y:
            rows = kept["results"].setdefault(f"{path.stem}, {task}", {})
            start = time.perf_counter()
            if "logistic regression" not in rows:
                rows["logistic regression"] = logistic_regression(parts, task)
            for seed in arguments.seeds:
                if str(seed) not in rows:
                    rows[str(seed)] = searched(parts, task, seed, arguments.seconds)
                    print(path.stem, task, seed, rows[str(seed)], flush=True)
                kept["date"] = str(datetime.date.today())
                kept["versions"] = f"Keras {keras.__version__} on {keras.backend.backend()}"
                arguments.json.write_text(json.dumps(kept, indent=1))
            print(path.stem, task, f"{time.perf_counter() - start:.0f} s", flush=True)
    print(f"\n{kept['versions']}, {kept['date']}, {arguments.seconds:g} s of search\n")
    print("| task | logistic regression, % | search, % |\n|---|---|---|")
    for name, rows in kept["results"].items():
        found = [one["search"] for one in rows.values() if isinstance(one, dict)]
        print(
            f"| {name} | {100 * rows['logistic regression']:.1f} | {interval(found, '.1f', 100)} |"
        )


if __name__ == "__main__":
    main()
