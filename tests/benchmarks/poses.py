"""Heads for poses on kinds of data that differ: what turns in the image, and what turns out of it.

    python tests/benchmarks/poses.py --data digits turntable --json poses.json
    python tests/benchmarks/poses.py --data eth80 eth80-objects --folder DATA --json poses.json

Sets: rotated digits (32 bins); rotated Fashion-MNIST, where its files are; made objects on a
turntable (36 bins); and, from a folder, ETH-80 (`eth80.npz` with `x`, `object`, `category` and
`azimuth_deg`), with a quarter of the views held out, or of whole objects. Every run trains the pose
beside the identity, Adam with a cosine decay from 2e-3. Nothing is chosen on the held-out part.
What the JSON file holds already is not repeated. Prints a Markdown table for each set: means over
seeds with 95 % t-intervals, with one nearest neighbour in pixels as a yardstick.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from heads import pose_scores
from results_file import resumed
from sklearn.neighbors import KNeighborsClassifier
from table_texts import HEAD_COLUMNS, interval
from turntable import turntable

import mtlkit as mtl

NEIGHBOUR = "one nearest neighbour, pixels"
ORACLE = "oracle"
SHOWN = {
    **{key: HEAD_COLUMNS[key] for key in ("accuracy", "within_1", "mae_degrees")},
    "identity": ("identity, %", ".1f", 100),
    "seconds": ("seconds", ".0f", 1),
}


class Poses(NamedTuple):
    """A data set: images and labels `pose` and `identity`, to train on and to judge by.

    `objects` has the object of each training image, where whole objects are held out.
    """

    x: np.ndarray
    y: dict[str, np.ndarray]
    x_test: np.ndarray
    y_test: dict[str, np.ndarray]
    num_bins: int
    objects: np.ndarray | None = None

    @property
    def identities(self) -> int:
        return 1 + int(self.y["identity"].max())


def split(
    x: np.ndarray, identity: np.ndarray, pose: np.ndarray, held_out: np.ndarray, num_bins: int
) -> Poses:
    """Parts a set by a mask."""
    y = {"identity": identity, "pose": pose}
    train, test = ({k: v[rows] for k, v in y.items()} for rows in (~held_out, held_out))
    return Poses(x[~held_out], train, x[held_out], test, num_bins)


def turned_in_the_plane(make: Callable[..., Any]) -> Callable[[int, Path | None], Poses]:
    """Rotated digits, or clothes."""

    def load(seed: int, folder: Path | None) -> Poses:
        data = make(seed=seed)
        parts = [
            {"identity": y["identity"], "pose": y["orientation"]}
            for y in (data.y_train, data.y_test)
        ]
        return Poses(data.x_train, parts[0], data.x_test, parts[1], 32)

    return load


def on_a_turntable(seed: int, folder: Path | None) -> Poses:
    """A hundred made objects, a fifth of their views held out."""
    images = turntable(seed=seed)
    objects, views = images.shape[:2]
    identity = np.repeat(np.arange(objects), views)
    pose = np.tile(np.arange(views) // 2, objects)
    x = images.reshape(-1, *images.shape[2:])
    held_out = np.random.default_rng(100 + seed).random(len(x)) < 0.2
    return split(x, identity, pose, held_out, 36)


def eth80(num_bins: int, whole_objects: bool) -> Callable[[int, Path | None], Poses]:
    """ETH-80 at 32 x 32 pixels; beside whole objects held out, the identity is the category."""

    def load(seed: int, folder: Path | None) -> Poses:
        if folder is None:
            raise SystemExit("Expected --folder, which has eth80.npz. Received: none")
        with np.load(folder / "eth80.npz", allow_pickle=False) as kept:
            known = kept["azimuth_deg"] >= 0
            x, azimuth = kept["x"][known], kept["azimuth_deg"][known]
            objects, categories = kept["object"][known], kept["category"][known]
        x = x.reshape(len(x), 32, 2, 32, 2, 3).mean((2, 4)).astype("uint8")
        pose = np.round(azimuth / (360 / num_bins)).astype(int) % num_bins
        rng = np.random.default_rng(100 + seed)
        if whole_objects:
            held_out = np.isin(objects % 10, rng.permutation(10)[:2])
            parts = split(x, categories, pose, held_out, num_bins)
            return parts._replace(objects=objects[~held_out])
        return split(x, objects, pose, rng.random(len(x)) < 0.25, num_bins)

    return load


SETS: dict[str, Callable[[int, Path | None], Poses]] = {
    "digits": turned_in_the_plane(mtl.datasets.rotated_digits),
    "fashion": turned_in_the_plane(mtl.datasets.rotated_fashion_mnist),
    "turntable": on_a_turntable,
    "eth80": eth80(16, whole_objects=False),
    "eth80-objects": eth80(8, whole_objects=True),
}

TARGETS: dict[str, dict[str, Any]] = {
    "one-hot": {},
    "smooth": {"target": "smooth"},
    "one-hot, EMD": {"emd_weight": 0.3},
    "one-hot, 0.1 EMD": {"emd_weight": 0.1},
    "smooth, EMD": {"target": "smooth", "emd_weight": 0.3},
    "wide, EMD": {"target": "smooth", "width": 1.0, "emd_weight": 0.3},
    "sincos": {"target": "sincos"},
}
SPATIAL = ("polar", "flatten", "polar_and_flatten")


def task_of(name: str, num_bins: int) -> mtl.Task:
    """The task of a row: `design / target`, or `design / target / conditioning`.

    With `/ oracle` behind it the head sees the true identity, which bounds what there is to gain.
    """
    first, *rest = name.split(" / ")
    if first == "contrastive":
        head: mtl.heads.Head = mtl.heads.ContrastiveHead(num_bins, loss=rest[0])
    else:
        head = mtl.heads.OrientationHead(num_bins, spatial=first, **TARGETS[rest[0]])
    if len(rest) < 2:
        return mtl.Task("pose", head)
    source = "data" if rest[2:] == [ORACLE] else "model"
    return mtl.Task(
        "pose", head, condition_on="identity", conditioning=rest[1], condition_from=source
    )


ROWS = [f"{spatial} / {target}" for spatial in SPATIAL for target in TARGETS]


def neighbour(data: Poses) -> dict[str, float]:
    """The scores of one nearest neighbour in pixels."""
    flat = [x.reshape(len(x), -1).astype("float32") for x in (data.x, data.x_test)]
    start = time.perf_counter()
    found = KNeighborsClassifier(1).fit(flat[0], data.y["pose"]).predict(flat[1])
    step = 360 / data.num_bins
    scores = pose_scores(found, found * step, data.y_test["pose"], data.num_bins)
    return {**scores, "identity": np.nan, "seconds": time.perf_counter() - start}


def scored(model: mtl.MultiTaskModel, data: Poses, x_test: Any) -> dict[str, float]:
    """Scores of both tasks on the held-out part."""
    decoded = model.predict_tasks(x_test, verbose=0)
    found = decoded["pose"]
    degrees = found.get("degrees", found["label"] * 360 / data.num_bins)
    right = np.mean(decoded["identity"]["label"] == data.y_test["identity"])
    scores = pose_scores(found["label"], degrees, data.y_test["pose"], data.num_bins)
    return {**scores, "identity": float(right)}


def run(
    name: str, data: Poses, seed: int, epochs: int, backbone: keras.Model | None = None
) -> dict[str, float]:
    """Trains one model, from new weights or on a backbone that is given; returns its scores."""
    if name == NEIGHBOUR:
        return neighbour(data)
    keras.utils.set_random_seed(seed)
    identity = mtl.Task("identity", mtl.heads.ClassificationHead(data.identities))
    backbone = backbone or mtl.backbones.ConvBackbone(data.x.shape[1:])
    model = mtl.MultiTaskModel(backbone, [identity, task_of(name, data.num_bins)])
    steps = epochs * -(-len(data.x) // 64)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)))
    x, x_test = data.x, data.x_test
    if name.endswith(f"/ {ORACLE}"):
        told = [keras.utils.to_categorical(y["identity"]) for y in (data.y, data.y_test)]
        x, x_test = (
            {"image_input": images, "identity_prediction": true}
            for images, true in zip((x, x_test), told, strict=True)
        )
    start = time.perf_counter()
    model.fit(x, data.y, batch_size=64, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - start
    return {**scored(model, data, x_test), "seconds": seconds}


def table(rows: dict[str, dict[str, dict[str, float]]]) -> str:
    """The rows of a set, the most accurate first."""

    def values(name: str, score: str) -> list[float]:
        return [row[score] for row in rows[name].values()]

    lines = ["| head | " + " | ".join(title for title, _, _ in SHOWN.values()) + " |"]
    lines.append("|---" * (len(SHOWN) + 1) + "|")
    for name in sorted(rows, key=lambda name: -np.mean(values(name, "accuracy"))):
        cells = [interval(values(name, score), *how[1:]) for score, how in SHOWN.items()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines).replace("nan", "")


def main() -> None:
    """Runs what the JSON file does not hold yet, and prints a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=list(SETS), default=["digits", "turntable"])
    parser.add_argument("--heads", nargs="+", default=[NEIGHBOUR, *ROWS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="where eth80.npz is")
    parser.add_argument("--json", type=Path, required=True, help="where scores are kept")
    arguments = parser.parse_args()

    kept = resumed(arguments.json, parser, {"epochs": arguments.epochs})
    for seed in arguments.seeds:
        for which in arguments.data:
            results = kept["results"].setdefault(which, {})
            missing = [h for h in arguments.heads if str(seed) not in results.get(h, {})]
            data = SETS[which](seed, arguments.folder) if missing else None
            for name in missing:
                row = run(name, data, seed, arguments.epochs)
                results.setdefault(name, {})[str(seed)] = row
                print(
                    which, name, "seed", seed, {k: round(v, 3) for k, v in row.items()}, flush=True
                )
                kept["date"] = str(datetime.date.today())
                kept["versions"] = f"Keras {keras.__version__} on {keras.backend.backend()}"
                arguments.json.write_text(json.dumps(kept, indent=1))
    for which in arguments.data:
        print(f"\n{which}, {arguments.epochs} epochs, {kept['versions']}, {kept['date']}\n")
        print(table(kept["results"][which]))


if __name__ == "__main__":
    main()
