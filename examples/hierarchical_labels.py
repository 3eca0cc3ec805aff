"""Coarse labels need not be thrown away: most images have the group of their digit alone.

Digits come in three groups, by their strokes. One training image in thirty is labelled with its
digit; of the others only the group is known. A `HierarchicalHead` takes labels at either level.
Beside it stand a head that has the fine labels alone, and one that has all of them.

Run it with `python examples/hierarchical_labels.py`; `--help` tells the options.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
from sklearn.datasets import load_digits

import mtlkit as mtl

GROUPS = {"loops": ["0", "6", "8", "9"], "lines": ["1", "4", "7"], "curves": ["2", "3", "5"]}
TREE = mtl.Hierarchy.from_groups(GROUPS, class_names=[str(digit) for digit in range(10)])


def train(sources: dict, steps: int) -> mtl.MultiTaskModel:
    """Returns a model, trained with batches of which each source has an equal share."""
    keras.utils.set_random_seed(0)
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone((8, 8, 1), filters=(16, 32)),
        [mtl.Task("digit", mtl.heads.HierarchicalHead(TREE, loss="marginal"))],
    )
    model.compile("adam")
    batches = mtl.datasets.TaskBatches(sources, sampling="equal", batches_per_epoch=steps)
    model.fit(batches, verbose=0)
    return model


def main() -> None:
    """Trains three times, and scores digits and groups beside chance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="two steps, as a test")
    options = parser.parse_args()
    steps = 2 if options.fast else 400
    print(TREE, "\n")
    images, digits = load_digits(return_X_y=True)  # 8x8 pixels, upright
    order = np.random.default_rng(0).permutation(len(images))
    images, digits = images[order].reshape(-1, 8, 8, 1).astype("float32"), digits[order]
    x, digit, x_test, true = images[:1200], digits[:1200], images[1200:], digits[1200:]
    groups = TREE.level(1)  # the node of each digit's group
    known = np.random.default_rng(0).random(len(digit)) < 1 / 30

    few = x[known], {"digit": digit[known]}
    coarse = x[~known], {"digit": groups[digit[~known]]}
    rows = []
    for name, sources in {
        "few digits": {"few": few},
        "few digits, and groups": {"few": few, "coarse": coarse},
        "all digits": {"all": (x, {"digit": digit})},
    }.items():
        decoded = train(sources, steps).predict_tasks(x_test, verbose=0)["digit"]
        label = decoded["label"]
        rows.append(mtl.metrics.accuracy_skill(true, label, 10, f"{name}: digit"))
        row = mtl.metrics.accuracy_skill(groups[true] - 10, groups[label] - 10, 3, f"{name}: group")
        rows.append(row)
    print(mtl.metrics.skill_table(rows, title=f"{known.sum()} of {len(x)} have their digit"))


if __name__ == "__main__":
    main()
