"""Runs `audit` and `diagnose` over a folder of real data, as they are and with planted trouble.

    python tests/benchmarks/real_data.py FOLDER [--how audit] [--sets eth80] [--json FILE]

The folder holds `.npz` files, and `sets.toml`, which describes them:

    [eth80]
    file = "eth80.npz"
    inputs = "x"                  # the array, or a list of arrays by name
    split = { by = "object" }     # whole groups are held out; or { key = "split", held_out = [2] }
    features = "features"         # embeddings, if there are any

    [eth80.tasks.azimuth]
    labels = "azimuth_deg"
    bins = 8                      # of values from 0 to `period`
    period = 360
    missing = -1
    kind = "classes"              # or "values"
    noise = [0.0, 0.05]           # the rate of wrong labels that is known to be there
    right = ["needs_context"]     # causes in the data that would be right

Every task is judged as it is, and with trouble: a fifth of the labels replaced by another class
(`flips`), labels that belong to the sample before (`shifted`), permuted labels (`permuted`), half
the resolution (`half`), copies of training samples among the held-out ones (`copies`). A verdict is
`right` if it names the planted cause (flips: within .05 of .2), `open` if it names none that is not
there, and `FALSE` if it names another one in the data.

Where features are given, `audit` gets them, and the rate of wrong labels stands beside that of
cleanlab (`pip install cleanlab`), by a logistic regression on the same features, in five folds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from results_file import resumed

import mtlkit as mtl

#: What is planted, and the causes that name it.
TROUBLE: dict[str, tuple[str, ...]] = {
    "as_is": (),
    "flips": ("uniform_noise",),
    "shifted": ("misaligned_labels", "no_signal"),
    "permuted": ("misaligned_labels", "no_signal"),
    "half": ("resolution",),
    "copies": ("invalid_split",),
}
#: Causes that are in the data.
OF_DATA = (
    *(
        "invalid_split",
        "unseen_classes",
        "misaligned_labels",
        "no_signal",
        "uniform_noise",
        "structured_noise",
    ),
    *("ambiguity", "symmetry", "class_overlap", "imbalance", "too_little_data", "resolution"),
    *("needs_context", "label_leak"),
)
RATE, CLOSE = 0.2, 0.05


class RealSet:
    """A data set as the file describes it.

    Args:
        folder: Where its file lies.
        said: Its table.
        seed: Seed of the split.
    """

    def __init__(self, folder: Path, said: Mapping[str, Any], seed: int) -> None:
        arrays = np.load(folder / said["file"], allow_pickle=False)
        keys = said["inputs"]
        self.x: Any = arrays[keys] if isinstance(keys, str) else {k: arrays[k] for k in keys}
        self.features = arrays[said["features"]] if "features" in said else None
        self.tasks = said["tasks"]
        self.y = {name: labels(arrays, task) for name, task in self.tasks.items()}
        self.held_out = held_out(
            arrays, said.get("split", {}), len(keras.tree.flatten(self.x)[0]), seed
        )

    def part(self, held_out: bool) -> tuple[Any, dict[str, NDArray], NDArray | None]:
        """Inputs, labels and features of one side of the split."""
        rows = np.flatnonzero(self.held_out == held_out)
        return (
            keras.tree.map_structure(lambda array: array[rows], self.x),
            {name: values[rows] for name, values in self.y.items()},
            None if self.features is None else self.features[rows],
        )


def labels(arrays: Mapping[str, NDArray], task: Mapping[str, Any]) -> NDArray:
    """The labels of a task: classes from 0 on, -1 for none, or values, NaN for none."""
    given = arrays[task["labels"]]
    gone = given == task["missing"] if "missing" in task else np.zeros(given.shape, bool)
    if task.get("kind", "classes") == "values":
        return np.where(gone, np.nan, given).astype("float32")
    if "bins" in task:
        width = task.get("period", 360) / task["bins"]
        given = np.round(given / width).astype("int64") % task["bins"]
    _, numbered = np.unique(given[~gone], return_inverse=True)
    found = np.full(given.shape, -1)
    found[~gone] = numbered
    return found


def held_out(
    arrays: Mapping[str, NDArray], split: Mapping[str, Any], samples: int, seed: int
) -> NDArray:
    """Which samples are held out: those of a split that is given, groups, or a fifth."""
    rng = np.random.default_rng(seed)
    if "key" in split:
        return np.isin(arrays[split["key"]], split["held_out"])
    if "by" in split:
        groups = arrays[split["by"]]
        kinds = rng.permutation(np.unique(groups))
        return np.isin(groups, kinds[: max(1, len(kinds) // 5)])
    return rng.random(samples) < 0.2


def planted(
    trouble: str,
    x: Any,
    y: dict[str, NDArray],
    task: str,
    seed: int,
    features: NDArray | None = None,
) -> tuple[Any, Any, NDArray | None]:
    """Training data with trouble in one task, and the features of its samples."""
    rng = np.random.default_rng(seed)
    y = dict(y)
    own = y[task].copy()
    known = known_rows(own)
    if trouble == "flips":
        if own.dtype.kind == "f":
            return None, None, None
        classes = int(own.max()) + 1
        wrong = known[rng.random(len(known)) < RATE]
        own[wrong] = (own[wrong] + rng.integers(1, classes, len(wrong))) % classes
    elif trouble == "shifted":  # of sorted samples, a shift would change few labels
        order = rng.permutation(len(own))
        x = keras.tree.map_structure(lambda array: array[order], x)
        y = {name: labels[order] for name, labels in y.items()}
        features = None if features is None else features[order]
        own = y[task].copy()
        known = known_rows(own)
        own[known] = np.roll(own[known], 1)
    elif trouble == "permuted":
        own[known] = own[rng.permutation(known)]
    elif trouble == "half":
        if np.ndim(x) != 4:
            return None, None, None
        x = halved(x)  # features are still those of the images as they were
    y[task] = own
    return x, y, features


def known_rows(own: NDArray) -> NDArray:
    """The samples that have a label."""
    return np.flatnonzero(~np.isnan(own) if own.dtype.kind == "f" else own >= 0)


def halved(images: NDArray) -> NDArray:
    """Images of half the resolution, at their old size."""
    n, height, width, channels = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2].astype("float32")
    small = even.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
    return small.repeat(2, axis=1).repeat(2, axis=2).astype(images.dtype)


def judged(verdict: Any, trouble: str, task: Mapping[str, Any]) -> str:
    """What a verdict is worth."""
    named = {cause.name: cause for cause in verdict.causes if cause.name in OF_DATA}
    allowed = {*TROUBLE[trouble], *task.get("right", ())}
    low, high = task.get("noise", (0.0, 0.0))
    noise = named.get("uniform_noise")
    is_known = noise is not None and low - CLOSE <= (noise.effect or 0.0) <= high + CLOSE
    if trouble != "flips" and high > 0 and is_known:
        allowed.add("uniform_noise")
    if named.keys() - allowed:
        return "FALSE"
    if not TROUBLE[trouble]:
        return "right"
    hit = named.keys() & set(TROUBLE[trouble])
    if trouble == "flips" and hit:
        # Labels that were wrong before stay so.
        known = RATE + (low + high) / 2 * (1 - RATE)
        return "right" if abs((noise.effect if noise else 0.0) - known) <= CLOSE else "FALSE"
    return "right" if hit else "open"


def model_of(
    shape: tuple[int, ...], y: Mapping[str, NDArray], y_val: Mapping[str, NDArray]
) -> mtl.MultiTaskModel:
    """A plain model of all tasks; groups that are held out may bring classes of their own."""
    heads = mtl.heads
    tasks = [
        mtl.Task(
            name,
            heads.RegressionHead()
            if values.dtype.kind == "f"
            else heads.ClassificationHead(int(max(values.max(), y_val[name].max())) + 1),
        )
        for name, values in y.items()
    ]
    is_image = len(shape) == 3
    backbone = (
        mtl.backbones.ConvBackbone(shape) if is_image else mtl.backbones.DenseBackbone(*shape)
    )
    model = mtl.MultiTaskModel(backbone, tasks)
    model.compile("adam")
    return model


def run(
    how: str, data: RealSet, task: str, trouble: str, budget: float, epochs: int, seed: int
) -> Any:
    """One row of the table; `None` where the trouble does not apply."""
    x_val, y_val, _ = data.part(True)
    x, y, features = data.part(False)
    if trouble == "copies":
        count = len(keras.tree.flatten(x_val)[0])
        first = keras.tree.map_structure(lambda array: array[: count // 3], x)
        x_val = keras.tree.map_structure(lambda a, b: np.concatenate([a, b]), x_val, first)
        y_val = {k: np.concatenate([y_val[k], y[k][: count // 3]]) for k in y}
    else:
        x, y, features = planted(trouble, x, y, task, seed, features)
        if trouble == "half" and x is not None:
            x_val = halved(x_val)
    if x is None:
        return None
    start = time.process_time()
    if how == "audit":
        validation = (x_val, y_val) if trouble == "copies" else None
        found = mtl.diagnostics.audit(
            x, y, task, validation_data=validation, features=features, verbose=0, seed=seed
        )
    else:
        keras.utils.set_random_seed(seed)
        model = model_of(np.shape(x)[1:], y, y_val)
        model.fit(x, y, epochs=epochs, batch_size=64, verbose=0)
        start = time.process_time()
        found = mtl.diagnostics.diagnose(
            model, x, y, task, validation_data=(x_val, y_val), budget=budget, verbose=0, seed=seed
        )
    signal = found.evidence.get("signal")
    return {
        "judged": judged(found.verdict, trouble, data.tasks[task]),
        "limit": found.verdict.limit,
        "causes": [[c.name, c.effect, c.interval] for c in found.verdict.causes],
        "open": list(found.verdict.undetermined),
        "sentence": found.verdict.sentence,
        "reference": None if signal is None else signal.details.get("score"),
        "noise": _effect(found.evidence.get("uniform_noise")),
        "cleanlab": None if features is None else rate_by_cleanlab(features, y[task], seed),
        "seconds": round(time.process_time() - start, 1),
    }


def rate_by_cleanlab(features: NDArray, y: NDArray, seed: int) -> float | None:
    """The share of wrong labels by confident learning, of a regression in five folds."""
    if importlib.util.find_spec("cleanlab") is None or y.dtype.kind == "f":
        return None
    from cleanlab.count import estimate_joint
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = known_rows(y)
    _, labels = np.unique(y[known], return_inverse=True)
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    probabilities = cross_val_predict(
        regression, features[known], labels, cv=folds, method="predict_proba"
    )
    return float(1 - np.trace(estimate_joint(labels, probabilities)))


def _effect(evidence: Any) -> Any:
    return None if evidence is None else [evidence.status, evidence.effect, evidence.interval]


def show(key: str, row: Mapping[str, Any]) -> None:
    """Prints a row."""
    causes = "; ".join(
        f"{name} {effect:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"
        if effect is not None and ends is not None
        else name
        for name, effect, ends in row["causes"]
    )
    left = f" open: {', '.join(row['open'])}" if row["open"] else ""
    reference = "" if row["reference"] is None else f" (reference {row['reference']:.2f})"
    if row.get("cleanlab") is not None:
        noise = row["noise"][1] or 0.0
        reference += f" noise {noise:.2f}, by cleanlab {row['cleanlab']:.2f}"
    print(
        f"{row['judged']:6}{key:44}{row['seconds']:7.1f} s  {row['limit']}: {causes or '-'}{left}"
        f"{reference}",
        flush=True,
    )


def main() -> None:
    """Runs what is not yet in the file, and prints all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--how", choices=("audit", "diagnose"), default="audit")
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--trouble", nargs="+", default=list(TROUBLE), choices=TROUBLE)
    parser.add_argument("--description", type=Path, help="the TOML file, if not in the folder")
    parser.add_argument("--budget", type=float, default=600.0)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    said = tomllib.loads((given.description or given.folder / "sets.toml").read_text())
    kept = resumed(given.json, parser, {"seed": given.seed}) if given.json else {"results": {}}
    for name in given.sets or said:
        data = RealSet(given.folder, said[name], given.seed)
        for task in data.tasks:
            for trouble in given.trouble:
                key = f"{given.how} {name} {task} {trouble}"
                if key not in kept["results"]:
                    kept["results"][key] = tried(
                        lambda task=task, trouble=trouble, data=data: run(
                            given.how, data, task, trouble, given.budget, given.epochs, given.seed
                        )
                    )
                    if given.json:
                        given.json.write_text(json.dumps(kept, indent=1) + "\n")
                if kept["results"][key] is not None:
                    show(key, kept["results"][key])
    rows = [row for row in kept["results"].values() if row is not None]
    print(dict(Counter(row["judged"] for row in rows)))


def tried(make: Callable[[], Any]) -> Any:
    """A row; of a run that ended in an error, the error."""
    try:
        return make()
    except Exception:
        traceback.print_exc()
        return {
            "judged": "ERROR",
            "limit": traceback.format_exc().splitlines()[-1],
            "causes": [],
            "open": [],
            "reference": None,
            "seconds": 0.0,
        }


if __name__ == "__main__":
    main()
