"""Two data sets, each with the labels of one task: one model learns both.

One half of the training images has a digit and no angle, the other half an angle and no digit.
`TaskBatches` draws from both, and says for each image what is not known. Beside it stand a model
for each half alone, and one for which all labels are known. Each sees a label as often.

Run it with `python examples/partial_labels.py`; `--help` tells the options.
"""

from __future__ import annotations

import argparse

import keras

import mtlkit as mtl

NUM_BINS = 16


def train(stream, steps: int) -> mtl.MultiTaskModel:
    """Returns a model of both tasks, trained for so many steps."""
    keras.utils.set_random_seed(0)
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone((16, 16, 1), filters=(16, 32)),
        [
            mtl.Task("identity", mtl.heads.ClassificationHead(10, pooling="flatten")),
            mtl.Task("orientation", mtl.heads.OrientationHead(NUM_BINS)),
        ],
    )
    model.compile(keras.optimizers.Adam(2e-3))
    batches = mtl.datasets.TaskBatches(stream, batch_size=64, batches_per_epoch=steps)
    model.fit(batches, verbose=0)
    return model


def main() -> None:
    """Trains on each set, on both, and on all labels, and prints the scores beside chance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="two steps, as a test")
    options = parser.parse_args()
    steps = 2 if options.fast else 240
    data = mtl.datasets.rotated_digits(copies=4, num_bins=NUM_BINS)
    x, x_test = data.x_train[:, ::2, ::2], data.x_test[:, ::2, ::2]  # half the size
    identity, orientation = data.y_train["identity"], data.y_train["orientation"]
    half = len(x) // 2
    digits = x[:half], {"identity": identity[:half]}
    angles = x[half:], {"orientation": orientation[half:]}
    complete = x, {"identity": identity, "orientation": orientation}

    _, labels = mtl.datasets.TaskBatches({"digits": digits, "angles": angles}, batch_size=6)[0]
    print("Labels of a small batch:", {task: one.tolist() for task, one in labels.items()}, "\n")

    rows = []
    for name, share, sources in [
        ("digits only", 1, {"digits": digits}),
        ("angles only", 1, {"angles": angles}),
        ("both sets", 2, {"digits": digits, "angles": angles}),
        ("all labels known", 2, {"complete": complete}),
    ]:
        decoded = train(sources, share * steps).predict_tasks(x_test, verbose=0)
        for task, classes in {"identity": 10, "orientation": NUM_BINS}.items():
            true, label = data.y_test[task], decoded[task]["label"]
            rows.append(mtl.metrics.accuracy_skill(true, label, classes, f"{name}: {task}"))
    print(mtl.metrics.skill_table(rows, title=f"{len(x_test)} test images"))


if __name__ == "__main__":
    main()
