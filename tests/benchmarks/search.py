"""A timed search on RotFashion32, against an equally long random search of flatten heads.

    python tests/benchmarks/search.py --minutes 15 --json search.json

Searches the head of `orientation` with `mtlkit.search.search_heads`, trains the winner anew on
three data seeds, and scores it on test images, beside `identity` and `intensity` trained alone.
The rival is a random search of the flatten head, written directly in KerasTuner, whose winner
is trained in the same way. Searches see training and validation images of seed 0 alone. What
the JSON file and the folder hold already is not repeated.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from rotfashion32 import BATCH, SCORES, table, three_tasks

import mtlkit as mtl

NUM_BINS, EPOCHS = 32, 9


def found_by_mtlkit(minutes: float, directory: Path) -> dict[str, Any]:
    """The winner of a search, as plain data."""
    result = mtl.search.search_heads(
        mtl.backbones.ConvBackbone(),
        three_tasks(mtl.heads.OrientationHead(NUM_BINS, spatial="pool")),
        "orientation",
        mtl.datasets.rotated_fashion_mnist(seed=0),
        time_budget=60 * minutes,
        epochs=EPOCHS,
        directory=directory,
    )
    print(result.leaderboard, flush=True)
    result.save_html(directory / "report.html")
    return result.best_config


def found_by_hand(minutes: float, directory: Path) -> dict[str, Any]:
    """The winner of a random search of flatten heads, as a KerasTuner user writes it."""
    data = mtl.datasets.rotated_fashion_mnist(seed=0)
    deadline = time.monotonic() + 60 * minutes

    def head_of(hp: Any) -> mtl.heads.OrientationHead:
        return mtl.heads.OrientationHead(
            NUM_BINS,
            spatial="flatten",
            hidden_units=hp.Choice("hidden_units", [64, 128, 256]),
            dropout=hp.Float("dropout", 0.0, 0.5),
        )

    def build(hp: Any) -> keras.Model:
        model = mtl.MultiTaskModel(mtl.backbones.ConvBackbone(), three_tasks(head_of(hp)))
        model.compile(keras.optimizers.Adam(decay(hp.Float("rate", 5e-4, 4e-3, sampling="log"))))
        return model

    def decay(rate: float) -> Any:
        steps = EPOCHS * math.ceil(len(data.x_train) / BATCH)
        return keras.optimizers.schedules.CosineDecay(rate, steps)

    class Timed(keras_tuner.RandomSearch):
        def pre_create_trial(self) -> None:
            if time.monotonic() > deadline:
                self.oracle.max_trials = len(self.oracle.trials)

    objective = keras_tuner.Objective("val_orientation_accuracy", "max")
    tuner = Timed(build, objective, max_trials=1000, directory=directory, seed=1)
    tuner.search(
        data.x_train,
        data.y_train,
        validation_data=(data.x_val, data.y_val),
        epochs=EPOCHS,
        batch_size=BATCH,
        verbose=0,
    )
    best = tuner.get_best_hyperparameters()[0]
    task = keras.saving.serialize_keras_object(mtl.Task("orientation", head_of(best)))
    return {"task": task, "learning_rate": best.get("rate")}


def trained(config: dict[str, Any] | None, seed: int, epochs: int, tasks: Any) -> dict[str, float]:
    """Test scores of a model trained anew, with the searched task or some tasks alone."""
    data = mtl.datasets.rotated_fashion_mnist(seed=seed)
    keras.utils.set_random_seed(seed)
    used = three_tasks(mtl.heads.OrientationHead(NUM_BINS))
    if config is not None:
        used[1] = keras.saving.deserialize_keras_object(config["task"])
    used = [task for task in used if task.name in tasks]
    model = mtl.MultiTaskModel(mtl.backbones.ConvBackbone(), used)
    rate = 2e-3 if config is None else config["learning_rate"]
    steps = epochs * math.ceil(len(data.x_train) / BATCH)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)))
    start = time.perf_counter()
    train, test = ({name: y[name] for name in tasks} for y in (data.y_train, data.y_test))
    model.fit(data.x_train, train, batch_size=BATCH, epochs=epochs, verbose=2)
    seconds = time.perf_counter() - start
    scores = model.evaluate(data.x_test, test, return_dict=True, verbose=0)
    return {**{name: scores[name] for name in SCORES if name in scores}, "seconds": seconds}


def main() -> None:
    """Runs what the JSON file does not hold yet, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--epochs", type=int, default=20, help="epochs to train the winner")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path, required=True, help="where everything is kept")
    arguments = parser.parse_args()
    kept = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}

    def keep(key: str, make: Any) -> Any:
        if key not in kept:
            kept[key] = make()
            arguments.json.write_text(json.dumps(kept, indent=1))
        return kept[key]

    folder = arguments.json.with_suffix("")
    searches = {"mtlkit": found_by_mtlkit, "flatten, by hand": found_by_hand}
    everything = ("identity", "orientation", "intensity")
    rows: dict[str, list[dict[str, float]]] = {}
    for name, search in searches.items():
        directory = folder.with_name(f"{folder.name}-{name.split(',')[0]}")
        config = keep(name, lambda s=search, d=directory: s(arguments.minutes, d))
        for seed in arguments.seeds:
            scores = keep(
                f"{name}, seed {seed}",
                lambda c=config, s=seed: trained(c, s, arguments.epochs, everything),
            )
            rows.setdefault(f"winner of {name}", []).append(scores)
    for name in ("identity", "intensity"):
        for seed in arguments.seeds:
            scores = keep(
                f"{name} alone, seed {seed}",
                lambda n=name, s=seed: trained(None, s, arguments.epochs, (n,)),
            )
            rows.setdefault(f"{name} alone", []).append(scores)
    versions = f"Keras {keras.__version__} on {keras.backend.backend()}"
    print(f"\n{datetime.date.today()}, {versions}, {arguments.minutes:g} minutes a search\n")
    print(table("model", rows, (*SCORES, "seconds")))


if __name__ == "__main__":
    main()
