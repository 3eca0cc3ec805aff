"""What MultiTaskModel costs beside the same layers wired by hand in plain Keras.

    python tests/benchmarks/overhead.py --json tests/benchmarks/results/overhead.json

One run a backend (KERAS_BACKEND), 5 to 8 minutes on two idle cores; the file holds all of
them. By task count the table has the ratio of the times of `MultiTaskModel` and of the model
by hand: of a call of `fit` with epochs of 100 and of 20 steps, and of compiling and the first
step. Calls alternate, and so does who goes first; a ratio is the median of those of the
pairs, with their quartiles. All labels are there: the model by hand has no masks.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from results_file import resumed

import mtlkit as mtl

BATCH, STEPS = 32, (100, 20)
#: How often a model of so many tasks is built and compiled, by the number of tasks.
BUILDS = {3: 5, 32: 2, 100: 1}
CLASSES, BINS = 10, 32
KINDS = ("classification", "orientation", "regression")
Model = keras.Model


def kinds(tasks: int) -> dict[str, str]:
    """The kind of each task by its name."""
    return {f"task{number}": KINDS[number % 3] for number in range(tasks)}


def data(tasks: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Images, and labels of all tasks, for the longest epoch."""
    rng = np.random.default_rng(0)
    samples = BATCH * max(STEPS)
    labels = {
        "classification": lambda: rng.integers(CLASSES, size=samples),
        "orientation": lambda: rng.integers(BINS, size=samples),
        "regression": lambda: rng.random(samples).astype("float32"),
    }
    x = rng.random((samples, 32, 32, 1)).astype("float32")
    return x, {name: labels[kind]() for name, kind in kinds(tasks).items()}


def multi_task_model(tasks: int) -> Model:
    """The model under test, not compiled."""
    heads: dict[str, Callable[[], Any]] = {
        "classification": lambda: mtl.heads.ClassificationHead(CLASSES, layer_norm=False),
        "orientation": lambda: mtl.heads.OrientationHead(BINS, spatial="pool", hidden_units=128),
        "regression": lambda: mtl.heads.RegressionHead(layer_norm=False),
    }
    return mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone(normalize=False),
        [mtl.Task(name, heads[kind]()) for name, kind in kinds(tasks).items()],
    )


def by_hand(tasks: int) -> Model:
    """The same in plain Keras, not compiled."""
    units = {"classification": CLASSES, "orientation": BINS, "regression": 1}
    inputs = x = keras.Input((32, 32, 1))
    for number, channels in enumerate((32, 64, 128)):
        if number:
            x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
    outputs = {}
    for name, kind in kinds(tasks).items():
        pooled = keras.layers.GlobalAveragePooling2D()(x)
        hidden = keras.layers.Dense(128, activation="relu")(pooled)
        outputs[name] = keras.layers.Dense(units[kind], name=name)(hidden)
    return keras.Model(inputs, outputs)


def compile_model(model: Model, tasks: int) -> None:
    """Compiles either model; that by hand with the losses and metrics of the heads."""
    if isinstance(model, mtl.MultiTaskModel):
        model.compile("adam")
        return
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metrics: dict[str, Callable[[], list[Any]]] = {
        "classification": lambda: ["accuracy"],
        "orientation": lambda: [
            mtl.metrics.CircularAccuracy(BINS, within=0),
            mtl.metrics.CircularAccuracy(BINS),
            mtl.metrics.CircularMeanAbsoluteError(BINS),
        ],
        "regression": lambda: ["mae"],
    }
    model.compile(
        "adam",
        loss={n: "mse" if k == "regression" else cross_entropy for n, k in kinds(tasks).items()},
        metrics={name: metrics[kind]() for name, kind in kinds(tasks).items()},
    )


MAKERS = {"mtlkit": multi_task_model, "by hand": by_hand}


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def alternating(run: Callable[[str], float], pairs: int, limit: float = np.inf) -> dict[str, Any]:
    """Runs both models in turn; returns what the times say.

    Args:
        run: Returns the seconds of one run of a model, by its name.
        pairs: How often, at most.
        limit: Seconds after which no pair is begun, but for three of them.
    """
    times: dict[str, list[float]] = {name: [] for name in MAKERS}
    start = time.perf_counter()
    for pair in range(pairs):
        if pair >= 3 and time.perf_counter() - start > limit:
            break
        for name in list(MAKERS)[:: 1 if pair % 2 else -1]:
            times[name].append(run(name))
    ratios = np.array(times["mtlkit"]) / np.array(times["by hand"])
    return {
        "by_hand_s": float(np.median(times["by hand"])),
        "mtlkit_s": float(np.median(times["mtlkit"])),
        "ratio": float(np.median(ratios)),
        "quartiles": [float(np.quantile(ratios, q)) for q in (0.25, 0.75)],
        "pairs": len(ratios),
    }


def measure(tasks: int, limit: float) -> dict[str, Any]:
    """All rows of the table for one number of tasks."""
    x, y = data(tasks)

    def subset(samples: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return x[:samples], {name: labels[:samples] for name, labels in y.items()}

    models: dict[str, Model] = {}
    first = subset(BATCH)

    def started(name: str) -> float:
        keras.utils.clear_session()
        models[name] = MAKERS[name](tasks)

        def run() -> None:
            compile_model(models[name], tasks)
            models[name].fit(*first, batch_size=BATCH, verbose=0)

        return seconds(run)

    rows = {"compile and first step": alternating(started, BUILDS[tasks])}
    for steps in STEPS:
        part = subset(steps * BATCH)

        def epoch(name: str, part: Any = part) -> float:
            return seconds(lambda: models[name].fit(*part, batch_size=BATCH, verbose=0))

        for name in models:  # the first call of another length is slower
            models[name].fit(*subset(2 * BATCH), batch_size=BATCH, verbose=0)
        rows[f"epoch of {steps} steps"] = alternating(epoch, 11, limit)
    return rows


def import_seconds(repeats: int = 5) -> float:
    """The median of how long importing mtlkit takes after keras, in fresh processes."""
    code = (
        "import time; import keras; start = time.perf_counter(); import mtlkit; "
        "print(time.perf_counter() - start)"
    )
    command = [sys.executable, "-c", code]
    return float(
        np.median(
            [float(subprocess.check_output(command, text=True).split()[-1]) for _ in range(repeats)]
        )
    )


def versions() -> str:
    """Keras, and the backend, with their versions."""
    backend = keras.backend.backend()
    return f"Keras {keras.__version__} on {backend} {__import__(backend).__version__}"


def as_table(results: dict[str, Any]) -> str:
    """The table in Markdown."""
    lines = []
    for result in results.values():
        lines += [
            f"{result['versions']}, {result['date']}; `import mtlkit` after `import keras`: "
            f"{result['import_s']:.2f} s",
            "",
            "| tasks | measure | by hand | mtlkit | ratio | quartiles | pairs |",
            "|---|---|---|---|---|---|---|",
        ]
        for tasks, rows in result["tasks"].items():
            for measure_, row in rows.items():
                low, high = row["quartiles"]
                lines.append(
                    f"| {tasks} | {measure_} | {row['by_hand_s']:.2f} s | {row['mtlkit_s']:.2f} s "
                    f"| {row['ratio']:.3f} | {low:.3f} to {high:.3f} | {row['pairs']} |"
                )
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=list(BUILDS), choices=BUILDS)
    parser.add_argument("--limit", type=float, default=35, help="seconds for each row of epochs")
    parser.add_argument("--json", type=Path, help="where results are kept, by backend")
    arguments = parser.parse_args()
    kept = resumed(arguments.json, parser) if arguments.json else {"results": {}}
    measure(3, limit=0)  # the first models of a process are slower
    result = {
        "versions": versions(),
        "date": str(datetime.date.today()),
        "import_s": import_seconds(),
        "tasks": {},
    }
    for tasks in arguments.tasks:
        result["tasks"][tasks] = measure(tasks, arguments.limit)
        print(as_table({"": {**result, "tasks": {tasks: result["tasks"][tasks]}}}), flush=True)
    kept["results"][keras.backend.backend()] = result
    if arguments.json:
        arguments.json.write_text(json.dumps(kept, indent=1) + "\n")
    print(as_table({keras.backend.backend(): result}))


if __name__ == "__main__":
    main()
