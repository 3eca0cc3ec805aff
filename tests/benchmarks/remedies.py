"""Whether the gains that the diagnosis states come true when its remedies are applied.

    python tests/benchmarks/remedies.py --seeds 0 1 2 --json remedies.json

The three-task model on RotFashion32 with the pooled head is trained, on standardised or on raw
pixels, and `orientation` is diagnosed on training and validation images. Then the remedies are
applied: the head by the line that is recommended, standardised input where its lack is named.
The model that comes of it is trained for as long, from new weights. On test images, which had no
part in any of it, the gain in skill stands beside the one that was stated. Skill is the share of
the way from chance to perfection. Runs that the JSON file holds are not repeated.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

import keras
from results_file import resumed
from rotfashion32 import BATCH, three_tasks

import mtlkit as mtl

NUM_BINS, TASK = 32, "orientation"
#: The conditions: whether the backbone standardises its input.
CONDITIONS = {"pooled head": True, "pooled head, raw pixels": False}


def built(head: mtl.heads.Head, normalize: bool, seed: int) -> mtl.MultiTaskModel:
    """The three-task model with a head for `orientation`, with new weights."""
    keras.utils.set_random_seed(seed)
    return mtl.MultiTaskModel(mtl.backbones.ConvBackbone(normalize=normalize), three_tasks(head))


def train(model: mtl.MultiTaskModel, data: Any, epochs: int) -> None:
    """Trains as a user does."""
    model.compile("adam")
    model.fit(data.x_train, data.y_train, batch_size=BATCH, epochs=epochs, verbose=0)


def skill(model: mtl.MultiTaskModel, data: Any) -> float:
    """The skill on test images, in the unit of the stated gains."""
    label = model.predict_tasks(data.x_test, verbose=0)[TASK]["label"]
    return mtl.metrics.accuracy_skill(data.y_test[TASK], label, NUM_BINS).gap_closed


def run(normalize: bool, seed: int, epochs: int, budget: float) -> dict[str, Any]:
    """Trains, diagnoses, applies the remedies, trains, and compares."""
    data = mtl.datasets.rotated_fashion_mnist(seed=seed, num_bins=NUM_BINS)
    model = built(mtl.heads.OrientationHead(NUM_BINS, spatial="pool"), normalize, seed)
    train(model, data, epochs)
    before = skill(model, data)
    found = mtl.diagnostics.diagnose(
        model,
        data.x_train,
        data.y_train,
        TASK,
        validation_data=(data.x_val, data.y_val),
        budget=budget,
        seed=seed,
        verbose=0,
    )
    causes = [cause.name for cause in found.verdict.causes]
    lines = {one.cause: one for one in found.recommendations}
    cured = model
    if "head_destroys_space" in lines:
        names = {"mtl": mtl, "model": model}
        exec(lines["head_destroys_space"].code, names)
        cured = names["model"]
    # A copy of its head and task, on a backbone of its own.
    fresh = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(cured.tasks[TASK])
    )
    again = built(fresh.head, normalize or "input_scale" in causes, seed)
    train(again, data, epochs)
    after = skill(again, data)
    return {
        "limit": found.verdict.limit,
        "causes": causes,
        "stated": {name: one.gain for name, one in lines.items()},
        "stated_interval": {name: one.interval for name, one in lines.items()},
        "before": before,
        "after": after,
        "gain": after - before,
        "cpu_seconds": found.setup["cpu_seconds"],
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """A line for each run."""
    lines = [
        "| model | seed | verdict | stated gains | skill before, after | gain on test images |",
        "|---|---|---|---|---|---|",
    ]
    for key, row in results.items():
        name, seed = key.rsplit("/", 1)
        stated = ", ".join(f"{k} {v:.2f}" for k, v in row["stated"].items() if v is not None)
        verdict = f"{row['limit']}: {', '.join(row['causes']) or '-'}"
        scores = f"{row['before']:.3f}, {row['after']:.3f}"
        lines.append(f"| {name} | {seed} | {verdict} | {stated} | {scores} | {row['gain']:.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what the JSON file does not hold yet, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--budget", type=float, default=600.0, help="CPU-seconds of diagnose")
    parser.add_argument("--json", type=Path, required=True, help="where results are kept")
    arguments = parser.parse_args()
    settings = {"epochs": arguments.epochs, "budget": arguments.budget}
    kept = resumed(arguments.json, parser, settings)
    for seed in arguments.seeds:
        for name, normalize in CONDITIONS.items():
            if f"{name}/{seed}" in kept["results"]:
                continue
            row = run(normalize, seed, arguments.epochs, arguments.budget)
            kept["results"][f"{name}/{seed}"] = row
            kept.update(
                date=str(datetime.date.today()),
                keras=keras.__version__,
                backend=keras.backend.backend(),
            )
            arguments.json.write_text(json.dumps(kept, indent=1))
            print(name, seed, row, flush=True)
    print(table(kept["results"]))


if __name__ == "__main__":
    main()
