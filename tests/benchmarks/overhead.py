"""What MultiTaskModel costs beside the same layers wired by hand in plain Keras.

    python tests/benchmarks/overhead.py

Prints the ratio of epoch times (median of alternating epochs, with the quartiles of the
pairwise ratios), and how much longer `import mtlkit` takes than `import keras`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import keras
import numpy as np

import mtlkit as mtl


def make_tasks() -> list[mtl.Task]:
    """The three tasks of the problem."""
    return [
        mtl.Task("identity", mtl.heads.ClassificationHead(10)),
        mtl.Task("orientation", mtl.heads.OrientationHead(32, spatial="flatten")),
        mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="stop"),
    ]


def multi_task_model() -> keras.Model:
    """The model under test."""
    model = mtl.MultiTaskModel(mtl.backbones.ConvBackbone(normalize=False), make_tasks())
    model.compile("adam")
    return model


def by_hand() -> keras.Model:
    """The same in plain Keras: its own losses and metrics, no masks."""
    inputs = keras.Input((32, 32, 1))
    x = inputs
    for number, channels in enumerate((32, 64, 128)):
        if number:
            x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")(x)

    def dense(features, units, name):
        hidden = keras.layers.Dense(128, activation="relu")(features)
        return keras.layers.Dense(units, name=name)(hidden)

    pooled = keras.layers.GlobalAveragePooling2D()(x)
    outputs = {
        "identity": dense(keras.layers.LayerNormalization()(pooled), 10, "identity"),
        "orientation": dense(keras.layers.Flatten()(x), 32, "orientation"),
        "intensity": dense(keras.ops.stop_gradient(pooled), 1, "intensity"),
    }
    model = keras.Model(inputs, outputs)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        "adam",
        loss={"identity": cross_entropy, "orientation": cross_entropy, "intensity": "mse"},
        metrics={
            "identity": ["accuracy"],
            "orientation": [
                "accuracy",
                mtl.metrics.CircularAccuracy(32),
                mtl.metrics.CircularMeanAbsoluteError(32),
            ],
            "intensity": ["mae"],
        },
    )
    return model


def epoch_ratio(pairs: int) -> None:
    """Alternates epochs of both models and prints the ratio of their times."""
    rng = np.random.default_rng(0)
    x = rng.random((6400, 32, 32, 1)).astype("float32")
    y = {
        "identity": rng.integers(10, size=6400),
        "orientation": rng.integers(32, size=6400),
        "intensity": rng.random(6400).astype("float32"),
    }
    models = {"mtlkit": multi_task_model(), "by hand": by_hand()}
    for model in models.values():
        model.fit(x, y, batch_size=64, verbose=0)  # compiles
    times: dict[str, list[float]] = {name: [] for name in models}
    for pair in range(pairs):
        # Who goes first changes too, against drift within a pair.
        for name in list(models)[:: 1 if pair % 2 else -1]:
            start = time.perf_counter()
            models[name].fit(x, y, batch_size=64, verbose=0)
            times[name].append(time.perf_counter() - start)
    ratios = np.array(times["mtlkit"]) / np.array(times["by hand"])
    print(f"epoch by hand: median {np.median(times['by hand']):.2f} s")
    print(f"epoch mtlkit:  median {np.median(times['mtlkit']):.2f} s")
    print(
        f"ratio: of the medians {np.median(times['mtlkit']) / np.median(times['by hand']):.3f}; "
        f"median of {pairs} pairs {np.median(ratios):.3f}, "
        f"quartiles {np.quantile(ratios, 0.25):.3f} to {np.quantile(ratios, 0.75):.3f}"
    )


def import_time(repeats: int) -> None:
    """Prints how long importing mtlkit takes beyond importing keras, in fresh processes."""
    code = (
        "import time; import keras; start = time.perf_counter(); import mtlkit; "
        "print(time.perf_counter() - start)"
    )
    times = [
        float(subprocess.check_output([sys.executable, "-c", code], text=True).split()[-1])
        for _ in range(repeats)
    ]
    print(f"import mtlkit after keras: median {np.median(times):.3f} s of {repeats} processes")


def main() -> None:
    """Measures both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    print(f"Keras {keras.__version__} on {keras.backend.backend()}")
    import_time(arguments.repeats)
    epoch_ratio(arguments.pairs)


if __name__ == "__main__":
    main()
