"""What a balancer costs: the time of a training step beside that of a model without one.

    python tests/benchmarks/balancing_overhead.py

One run a backend (KERAS_BACKEND); the file of results holds all of them. Tasks are classifications
of 32x32 images behind `ConvBackbone()`, in batches of 64. Blocks of steps of both models alternate,
and so does who goes first; a ratio is the median of those of the pairs, with their quartiles.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

import mtlkit as mtl
from mtlkit.balancing._names import BALANCERS

RESULTS = Path(__file__).parent / "results" / "balancing_overhead.json"
BATCH, CLASSES = 64, 10
#: What is measured with the gradients at the parameters, too.
AT_PARAMETERS = ("mean", "upgrad", "nash_mtl")


def model_of(tasks: int, balancer: str | None, space: str) -> Any:
    """A compiled model."""
    keras.utils.set_random_seed(0)
    heads = [mtl.Task(f"t{i}", mtl.heads.ClassificationHead(CLASSES)) for i in range(tasks)]
    backbone = mtl.backbones.ConvBackbone()
    model = mtl.MultiTaskModel(backbone, heads, balancer, balancer_space=space)
    model.compile("adam")
    return model


def measured(tasks: int, balancer: str, space: str, plain: Any, data: Any, pairs: int) -> Any:
    """The ratio of the times of a block of steps, with and without a balancer."""
    models = {"balanced": model_of(tasks, balancer, space), "plain": plain}
    models["balanced"].fit(*data, batch_size=BATCH, verbose=0)
    times: dict[str, list[float]] = {name: [] for name in models}
    for pair in range(pairs):
        for name in list(models)[:: 1 if pair % 2 else -1]:
            start = time.perf_counter()
            models[name].fit(*data, batch_size=BATCH, verbose=0)
            times[name].append(time.perf_counter() - start)
    ratios = np.array(times["balanced"]) / np.array(times["plain"])
    low, median, high = (float(np.quantile(ratios, q)) for q in (0.25, 0.5, 0.75))
    return {"ratio": median, "quartiles": [low, high], "pairs": pairs}


def main() -> None:
    """Measures all methods, prints a line for each, and keeps the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[3, 8, 32])
    parser.add_argument("--methods", nargs="+", default=list(BALANCERS))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    samples = BATCH * arguments.steps
    x = rng.random((samples, 32, 32, 1)).astype("float32")
    kept = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    mine = kept.setdefault(keras.backend.backend(), {})
    mine |= {
        "date": str(datetime.date.today()),
        "keras": keras.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "mtlkit": mtl.__version__,
        "steps": arguments.steps,
    }
    rows = mine.setdefault("ratios", {})
    for tasks in arguments.tasks:
        data = x, {f"t{i}": rng.integers(CLASSES, size=samples) for i in range(tasks)}
        plain = model_of(tasks, None, "features")
        plain.fit(*data, batch_size=BATCH, verbose=0)
        spaces = [(method, "features") for method in arguments.methods]
        spaces += [(m, "parameters") for m in AT_PARAMETERS if m in arguments.methods]
        for method, space in spaces:
            found = measured(tasks, method, space, plain, data, arguments.pairs)
            rows.setdefault(f"{method}, {space}", {})[str(tasks)] = found
            print(
                f"{tasks:3} tasks  {method:12} {space:10} {found['ratio']:.2f} "
                f"({found['quartiles'][0]:.2f} to {found['quartiles'][1]:.2f})",
                flush=True,
            )
            arguments.output.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
