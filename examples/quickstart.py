"""Three tasks, one model: watch a stuck task get unstuck.

A backbone of three convolutions serves three tasks on rotated images: `identity` (what is
it?), `orientation` (how is it turned, in 32 bins?) and `intensity` (how bright is it?), whose
gradient is stopped so that it leaves the backbone alone. Three models differ by one line each:

1. raw pixels and a pooled orientation head: orientation is stuck;
2. the same with normalised input: better;
3. the same with a polar head: it learns.

Run it with `python examples/quickstart.py`; `--help` tells the options.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import keras
import numpy as np

import mtlkit as mtl

NUM_BINS = 32


def make_model(normalize: bool) -> mtl.MultiTaskModel:
    """Returns the three-task model with a pooled orientation head."""
    return mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone(normalize=normalize),
        [
            mtl.Task("identity", mtl.heads.ClassificationHead(num_classes=10)),
            mtl.Task("orientation", mtl.heads.OrientationHead(NUM_BINS, spatial="pool")),
            mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="stop"),
        ],
    )


def raw_pixels() -> mtl.MultiTaskModel:
    """The model that is stuck."""
    return make_model(normalize=False)


def normalised() -> mtl.MultiTaskModel:
    """The same, its input standardised with the statistics of the training images."""
    return make_model(normalize=True)


def polar_head() -> mtl.MultiTaskModel:
    """The same with another head for the stuck task, in one line."""
    head = mtl.heads.OrientationHead(NUM_BINS, spatial="polar")
    return normalised().with_head("orientation", head)


STEPS = {
    "1. raw pixels, pooled head": raw_pixels,
    "2. normalised input, pooled head": normalised,
    "3. normalised input, polar head": polar_head,
}
FIRST, *_, LAST = STEPS


def train(model: mtl.MultiTaskModel, data: mtl.datasets.MultiTaskData, epochs: int) -> None:
    """Trains a model, with Keras's progress bars."""
    model.compile("adam")
    model.fit(
        data.x_train,
        data.y_train,
        validation_data=(data.x_val, data.y_val),
        batch_size=64,
        epochs=epochs,
        verbose=2 if epochs > 50 else 1,
    )


def skills(decoded: dict, data: mtl.datasets.MultiTaskData) -> list[mtl.metrics.Skill]:
    """Puts each task's score on the test images beside its baseline."""
    y = data.y_test
    constant = float(np.nanmedian(data.y_train["intensity"]))
    return [
        mtl.metrics.accuracy_skill(
            y["identity"], decoded["identity"]["label"], num_classes=10, task="identity"
        ),
        mtl.metrics.accuracy_skill(
            y["orientation"], decoded["orientation"]["label"], NUM_BINS, task="orientation"
        ),
        mtl.metrics.mae_skill(
            y["intensity"], decoded["intensity"]["value"], constant, task="intensity"
        ),
    ]


def plot(predicted: dict[str, np.ndarray], data: mtl.datasets.MultiTaskData, path: Path) -> None:
    """Draws the confusion matrices of the first and the last step."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots(1, 2)
    for ax, step in zip(axes, [FIRST, LAST], strict=True):
        true = data.y_test["orientation"]
        accuracy = np.mean(predicted[step] == true)
        mtl.reports.plot_confusion(
            true, predicted[step], NUM_BINS, ax=ax, title=f"{step}: {100 * accuracy:.0f} % right"
        )
    figure.suptitle("orientation, 32 bins: what is predicted for what is true (test images)")
    figure.savefig(path, dpi=100)


def save_and_check(model: mtl.MultiTaskModel, x: np.ndarray, path: Path) -> None:
    """Saves the model, loads it again, and checks that it predicts the same."""
    model.save(path)
    loaded = keras.models.load_model(path)
    before, after = model.predict(x, verbose=0), loaded.predict(x, verbose=0)
    for task in before:
        np.testing.assert_allclose(after[task], before[task], atol=1e-5)


def main() -> None:
    """Runs the three steps, prints the scores, saves the picture and the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", choices=["rotated-digits", "rotated-fashion-mnist"], default="rotated-digits"
    )
    parser.add_argument("--epochs", type=int, default=4, help="epochs a step (default: 4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("quickstart-output"))
    arguments = parser.parse_args()

    # The data, with what each task is worth without any learning.
    arguments.output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    load = {
        "rotated-digits": mtl.datasets.rotated_digits,
        "rotated-fashion-mnist": mtl.datasets.rotated_fashion_mnist,
    }[arguments.data]
    data = load(seed=arguments.seed, num_bins=NUM_BINS)
    print(data.summary(), flush=True)

    # Each of the three models is made anew, trained, and scored on the test images.
    tables, predicted = [], {}
    for step, make in STEPS.items():
        print(f"\n{step}", flush=True)
        keras.utils.set_random_seed(arguments.seed)
        model = make()
        train(model, data, arguments.epochs)
        decoded = model.predict_tasks(data.x_test, verbose=0)
        predicted[step] = decoded["orientation"]["label"]
        tables.append(mtl.metrics.skill_table(skills(decoded, data), title=step))

    # The scores, beside chance and the best constant.
    print(f"\nScores on {len(data.x_test):,} test images, with 95 % intervals:\n")
    print("\n\n".join(tables))

    # A picture of two models, and a file of the last one, which is loaded again.
    plot(predicted, data, arguments.output / "confusion.png")
    save_and_check(model, data.x_test, arguments.output / "model.keras")
    print(f"\nSaved in {arguments.output}: confusion.png, and model.keras, which loads and")
    print(f"predicts the same. Took {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
