"""One loss is a thousand times another: measure who pulls at the backbone, then compare cures.

`brightness` comes with a loss of its own, which begins near 1,000; that of `digit` begins near
2.3. `InterferenceMonitor` says what the backbone feels; `compare` trains what could help, with
the same data, epochs and seeds.

Run it with `python examples/balancing.py`; `--help` tells the options.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras

import mtlkit as mtl


def large_loss(true, predicted):
    """A squared error a thousand times the usual one, as of another unit, or of a sum."""
    return 1000 * keras.ops.mean(keras.ops.square(true - predicted), axis=-1)


def parts() -> tuple[mtl.backbones.ConvBackbone, list[mtl.Task]]:
    """Returns a new backbone, and the two tasks."""
    return mtl.backbones.ConvBackbone((16, 16, 1), filters=(16, 32)), [
        mtl.Task("digit", mtl.heads.ClassificationHead(10, pooling="flatten")),
        mtl.Task("brightness", mtl.heads.RegressionHead(), loss=large_loss),
    ]


def small(images, labels) -> tuple:
    """Returns images of half the size, with the labels of the two tasks."""
    return images[:, ::2, ::2], {
        "digit": labels["identity"],
        "brightness": labels["intensity"],
    }


def main() -> None:
    """Measures, then compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="one epoch and one seed, as a test")
    parser.add_argument("--save", type=Path, help="where to write the picture")
    parser.add_argument("--directory", type=Path, help="where an interrupted comparison goes on")
    options = parser.parse_args()
    epochs, seeds = (1, [0]) if options.fast else (6, [0, 1, 2])
    data = mtl.datasets.rotated_digits(copies=2)
    splits = {
        "train": small(data.x_train, data.y_train),
        "val": small(data.x_val, data.y_val),
        "test": small(data.x_test, data.y_test),
    }

    print("1. Measured: whose gradient does the backbone get?")
    keras.utils.set_random_seed(0)
    model = mtl.MultiTaskModel(*parts())
    model.compile("adam")
    monitor = mtl.balancing.InterferenceMonitor(*splits["val"], every=20, verbose=0)
    model.fit(*splits["train"], batch_size=64, epochs=epochs, callbacks=[monitor], verbose=0)
    print(monitor.report())

    print("\n2. Compared: what helps?")
    methods = ["log"] if options.fast else ["log", "db_mtl"]
    found = mtl.balancing.compare(
        parts,
        splits,
        methods,
        epochs=epochs,
        seeds=seeds,
        directory=options.directory,
        verbose=0,
    )
    print(found)
    if options.save:
        monitor.plot().savefig(options.save, dpi=100)


if __name__ == "__main__":
    main()
