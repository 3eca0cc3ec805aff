"""Diagnose a stuck task, and cure it.

On rotated images, `orientation` is stuck with a pooled head. This script trains the model of
all three tasks, asks why `orientation` does not learn, prints the verdict and what to do,
saves the page and its numbers, takes the head that is recommended, and trains on. The score
before and after stands beside chance.

Run it with `python examples/diagnose_stuck_task.py`; `--help` tells the options.
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import keras

import mtlkit as mtl

NUM_BINS = 32


def stuck_model() -> mtl.MultiTaskModel:
    """The three-task model with a head that averages positions away."""
    return mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone(),
        [
            mtl.Task("identity", mtl.heads.ClassificationHead(num_classes=10)),
            mtl.Task("orientation", mtl.heads.OrientationHead(NUM_BINS, spatial="pool")),
            mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="stop"),
        ],
    )


def train(model: mtl.MultiTaskModel, data: mtl.datasets.MultiTaskData, epochs: int) -> None:
    """Trains a model, a line for each epoch."""
    model.compile("adam")
    model.fit(
        data.x_train,
        data.y_train,
        validation_data=(data.x_val, data.y_val),
        batch_size=64,
        epochs=epochs,
        verbose=2,
    )


def score(
    model: mtl.MultiTaskModel, data: mtl.datasets.MultiTaskData, name: str
) -> mtl.metrics.Skill:
    """Puts the accuracy of orientation on the test images beside chance."""
    label = model.predict_tasks(data.x_test, verbose=0)["orientation"]["label"]
    return mtl.metrics.accuracy_skill(data.y_test["orientation"], label, NUM_BINS, task=name)


def recommended(found: mtl.diagnostics.Diagnosis) -> str | None:
    """The line of code that brings in another head, if the present one is a cause."""
    lines = [one.code for one in found.recommendations if one.cause == "head_destroys_space"]
    return lines[0] if lines else None


def with_line(model: mtl.MultiTaskModel, line: str) -> mtl.MultiTaskModel:
    """Runs a recommended line, as you would after pasting it into your own script."""
    names = {"mtl": mtl, "model": model}
    exec(line, names)
    return names["model"]


def main() -> None:
    """Trains, diagnoses, cures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", choices=["rotated-digits", "rotated-fashion-mnist"], default="rotated-digits"
    )
    parser.add_argument("--epochs", type=int, default=8, help="epochs before, and again after")
    parser.add_argument(
        "--budget", type=float, default=300, help="CPU-seconds of the diagnosis (default: 300)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("diagnosis-output"))
    arguments = parser.parse_args()

    # The data.
    arguments.output.mkdir(parents=True, exist_ok=True)
    load = {
        "rotated-digits": mtl.datasets.rotated_digits,
        "rotated-fashion-mnist": mtl.datasets.rotated_fashion_mnist,
    }[arguments.data]
    data = load(seed=arguments.seed, num_bins=NUM_BINS)

    # The symptom: a model of which one task lags behind.
    print("1. The symptom: a model of which one task lags behind", flush=True)
    keras.utils.set_random_seed(arguments.seed)
    model = stuck_model()
    train(model, data, arguments.epochs)
    rows = [score(model, data, "pooled head")]
    print(rows[0], flush=True)

    # The diagnosis: one call. It sees training and validation images, no test images.
    print("\n2. The diagnosis: why? It sees training and validation images, no test images.")
    found = mtl.diagnostics.diagnose(
        model,
        data.x_train,
        data.y_train,
        "orientation",
        validation_data=(data.x_val, data.y_val),
        num_classes=NUM_BINS,
        budget=arguments.budget,
        seed=arguments.seed,
    )
    print(f"\n{found.verdict.sentence}\n")
    for number, one in enumerate(found.recommendations, 1):
        gain = "" if one.gain is None else f" Measured gain in skill: {one.gain:.2f}."
        print(f"{number}. {one.text}{gain}\n{textwrap.indent(one.code, '       ')}")
    found.save_html(arguments.output / "diagnosis.html")
    found.to_json(arguments.output / "diagnosis.json")

    # The cure: the line that is recommended, and training on. The check is on test images.
    print("\n3. The cure: the line that is recommended, and training on", flush=True)
    line = recommended(found)
    if line is None:
        print("The head is not among the causes, so no other one is tried.")
    else:
        print(line, flush=True)
        model = with_line(model, line)
        train(model, data, arguments.epochs)
        rows.append(score(model, data, "recommended head"))
    print(mtl.metrics.skill_table(rows, title=f"orientation, {len(data.x_test):,} test images"))
    print(f"\nSaved in {arguments.output}: diagnosis.html, and its numbers in diagnosis.json")


if __name__ == "__main__":
    main()
