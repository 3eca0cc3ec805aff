"""A table with many labels: ten findings a row, most of them rare, a third not looked for.

Each finding depends on a few columns together. A `MultiLabelHead` on a `DenseBackbone` learns
all of them from the labels that are there. The average precision of each stands beside its
share of positives, which is what guessing reaches; thresholds from held-out rows make yes and no
of probabilities.

Run it with `python examples/table_many_labels.py`; `--help` tells the options.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
from sklearn.metrics import average_precision_score, f1_score

import mtlkit as mtl

COLUMNS, LABELS = 20, 10
WIDTHS = (18, 9, 10, 11, 10)


def table(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns columns in all sorts of units, and labels of 0 and 1."""
    rule, rng = np.random.default_rng(0), np.random.default_rng(seed)
    hidden = rng.normal(size=(rows, COLUMNS))
    first, second, third = (rule.normal(size=(COLUMNS, LABELS)) / COLUMNS**0.5 for _ in range(3))
    score = (
        (hidden @ first) * (hidden @ second) + hidden @ third + rng.normal(0, 0.7, (rows, LABELS))
    )
    common = 10.0 ** rule.uniform(-2, 3, COLUMNS)
    return hidden * common + 5 * common, (score > np.linspace(1, 3, LABELS)).astype("int64")


def main() -> None:
    """Trains, adapts the thresholds, and prints a line for each label."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="few rows and one epoch, as a test")
    options = parser.parse_args()
    rows, epochs = (300, 1) if options.fast else (4000, 25)
    (x, y), (x_val, y_val), (x_test, y_test) = table(rows, 1), table(1000, 2), table(2000, 3)
    y[np.random.default_rng(4).random(y.shape) < 1 / 3] = -1  # nobody has looked for it

    keras.utils.set_random_seed(0)
    model = mtl.MultiTaskModel(
        mtl.backbones.DenseBackbone(COLUMNS, units=(64, 64)),
        [mtl.Task("findings", mtl.heads.MultiLabelHead(LABELS, dropout=0.2))],
    )
    model.compile("adam")
    stop = mtl.callbacks.TaskEarlyStopping(patience=5)
    validation = (x_val, {"findings": y_val})
    model.fit(
        x, {"findings": y}, validation_data=validation, epochs=epochs, callbacks=[stop], verbose=0
    )

    half = model.predict_tasks(x_test, verbose=0)["findings"]
    head = model.tasks["findings"].head
    thresholds = head.adapt_thresholds(y_val, model.predict(x_val, verbose=0)["findings"])
    adapted = model.predict_tasks(x_test, verbose=0)["findings"]

    print("label  average precision  guessing  F1 at 0.5  F1 adapted  threshold")
    lines = []
    for label in range(LABELS):
        true = y_test[:, label]
        line = [
            average_precision_score(true, half["probability"][:, label]),
            true.mean(),
            f1_score(true, half["labels"][:, label], zero_division=0),
            f1_score(true, adapted["labels"][:, label], zero_division=0),
            thresholds[label],
        ]
        lines.append(line)
        print(f"{label:5}", *(f"{one:{size}.2f}" for one, size in zip(line, WIDTHS, strict=True)))
    mean = np.mean(lines, axis=0)
    print(" mean", *(f"{one:{size}.2f}" for one, size in zip(mean[:4], WIDTHS, strict=False)))


if __name__ == "__main__":
    main()
