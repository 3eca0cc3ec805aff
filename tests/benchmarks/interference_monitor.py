"""What watching interference costs: epochs with and without `mtlkit.balancing.InterferenceMonitor`.

Three tasks on a `ConvBackbone`, 32x32 images, batches of 64. Epochs with and without the monitor
alternate in one process; the table has the medians of their times and of the ratios of pairs.
Beside them stands the median time of a measurement, as a share of the steps between two of them,
which other load on the machine disturbs less; an epoch has a measurement more, at its start. The
first measurement, with compiling, is shown apart.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import keras
import numpy as np

import mtlkit as mtl

BATCH = 64
SPACES = {
    "features": "features",
    "parameters": "parameters",
    "both": ("features", "parameters"),
}


def data(samples: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Images, and labels of three tasks."""
    rng = np.random.default_rng(0)
    x = rng.random((samples, 32, 32, 1)).astype("float32")
    return x, {
        "identity": rng.integers(10, size=samples),
        "orientation": rng.integers(32, size=samples),
        "intensity": rng.random(samples).astype("float32"),
    }


def model_of() -> mtl.MultiTaskModel:
    """The model that is trained."""
    heads = {
        "identity": mtl.heads.ClassificationHead(10),
        "orientation": mtl.heads.OrientationHead(32, spatial="pool"),
        "intensity": mtl.heads.RegressionHead(),
    }
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone(), [mtl.Task(name, head) for name, head in heads.items()]
    )
    model.compile("adam")
    return model


class Timed(mtl.balancing.InterferenceMonitor):
    """Takes the time of each measurement."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seconds: list[float] = []

    def _measure(self) -> None:
        rows, start = len(self.history), time.perf_counter()
        super()._measure()
        if len(self.history) > rows:
            self.seconds.append(time.perf_counter() - start)


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", nargs="+", default=list(SPACES), choices=SPACES)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=9, help="of epochs, for each space")
    arguments = parser.parse_args()
    steps = 2 * arguments.every
    x, y = data(steps * BATCH)
    model = model_of()
    model.fit(x[: 2 * BATCH], {k: v[: 2 * BATCH] for k, v in y.items()}, verbose=0)

    def seconds(callbacks: list[keras.callbacks.Callback]) -> float:
        start = time.perf_counter()
        model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=callbacks)
        return time.perf_counter() - start

    print(f"Keras {keras.__version__} on {keras.backend.backend()}, every={arguments.every}")
    columns = ("space", "samples", "without", "with", "overhead", "quartiles")
    columns += ("a measurement", "of steps", "first")
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for space in arguments.spaces:
        monitor = Timed(x, y, every=arguments.every, space=SPACES[space], verbose=0)
        seconds([monitor])
        first = monitor.seconds[0]
        monitor.seconds.clear()
        pairs = []
        for pair in range(arguments.pairs):
            found = {}
            for watched in (pair % 2 == 0, pair % 2 == 1):
                found[watched] = seconds([monitor] if watched else [])
            pairs.append((found[False], found[True]))
        times = np.array(pairs)
        overhead = times[:, 1] / times[:, 0] - 1
        without, watched = np.median(times, axis=0)
        low, high = np.quantile(overhead, (0.25, 0.75))
        one = np.median(monitor.seconds)
        print(
            f"| {space} | {monitor._size} | {without:.2f} s | {watched:.2f} s "
            f"| {np.median(overhead):.1%} | {low:.1%} to {high:.1%} | {1000 * one:.0f} ms "
            f"| {one / (without / steps * arguments.every):.1%} | {first:.1f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
