"""Search the head for a stuck task, a head of your own among the candidates.

On rotated images, `orientation` is stuck with a pooled head. This script compares families of
heads for it, beside a small one that is defined here, in the model of all three tasks: it
prints the leaderboard, writes a report, and trains the winner anew.

Run it with `python examples/search_orientation_head.py`; `--help` tells the options. Stop it
whenever you like: called again, it goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras

import mtlkit as mtl
from mtlkit.space import Choice, Float

NUM_BINS = 32


@keras.saving.register_keras_serializable(package="search_orientation_head")
class RowsHead(mtl.heads.ClassificationHead):
    """A head of your own: it sees the map row by row before it flattens it."""

    def __init__(self, num_classes: int, row_units: int = 16, **kwargs) -> None:
        super().__init__(num_classes, **{"pooling": "flatten", **kwargs})
        self.row_units = row_units
        self.rows = keras.layers.Dense(row_units, "relu", dtype=self.dtype_policy)

    def build(self, input_shape) -> None:
        if not self.rows.built:
            self.rows.build(input_shape)
        super().build((*input_shape[:-1], self.row_units))

    def call(self, inputs):
        return super().call(self.rows(inputs))

    @classmethod
    def search_space(cls):
        return {"row_units": Choice([8, 16]), "dropout": Float(0.0, 0.5)}

    def get_config(self):
        return {**super().get_config(), "row_units": self.row_units}


def three_tasks() -> list[mtl.Task]:
    """The tasks, with the head that is stuck."""
    return [
        mtl.Task("identity", mtl.heads.ClassificationHead(num_classes=10)),
        mtl.Task("orientation", mtl.heads.OrientationHead(NUM_BINS, spatial="pool")),
        mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="stop"),
    ]


def main() -> None:
    """Searches, and shows what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", choices=["rotated-digits", "rotated-fashion-mnist"], default="rotated-digits"
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="time for the search")
    parser.add_argument("--trials", type=int, help="number of trials at most")
    parser.add_argument("--epochs", type=int, default=9, help="epochs of the longest trials")
    parser.add_argument("--workers", type=int, default=1, help="processes that run trials")
    parser.add_argument("--output", type=Path, default=Path("search-output"))
    arguments = parser.parse_args()

    # The data: the search sees the training and the validation images.
    load = {
        "rotated-digits": mtl.datasets.rotated_digits,
        "rotated-fashion-mnist": mtl.datasets.rotated_fashion_mnist,
    }[arguments.data]
    data = load(num_bins=NUM_BINS)

    # The search. Stop it whenever you like: called again, it goes on where it was.
    result = mtl.search.search_heads(
        mtl.backbones.ConvBackbone(),
        three_tasks(),
        "orientation",
        data,
        candidates=["classification", "orientation", "contrastive", "hierarchical", RowsHead],
        time_budget=60 * arguments.minutes,
        max_trials=arguments.trials,
        epochs=arguments.epochs,
        workers=arguments.workers,
        directory=arguments.output,
    )
    print(f"\n{result.leaderboard}\n")

    # The leaderboard as a file, and the report as a page.
    result.leaderboard.to_csv(arguments.output / "leaderboard.csv")
    result.save_html(arguments.output / "report.html")

    # The winner is trained anew, and scored on the test images, which had no part in the search.
    model = result.best_model()
    model.save(arguments.output / "best.keras")
    decoded = model.predict_tasks(data.x_test, verbose=0)["orientation"]
    skill = mtl.metrics.accuracy_skill(
        data.y_test["orientation"], decoded["label"], NUM_BINS, task="orientation"
    )
    print(f"The winner on {len(data.x_test):,} test images: {skill}")
    print(f"Saved in {arguments.output}: report.html, leaderboard.csv and best.keras")


if __name__ == "__main__":
    main()
