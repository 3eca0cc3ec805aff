"""`mtlkit demo`: three tasks on one backbone, of which one is stuck until its head is changed."""

from __future__ import annotations

import argparse
from pathlib import Path

import keras

import mtlkit as mtl
from mtlkit._cli.output import open_output, say_where
from mtlkit._cli.progress import EpochLines
from mtlkit.datasets import MultiTaskData
from mtlkit.metrics import Skill, skill_table
from mtlkit.reports import task_skills
from mtlkit_cli import FINE

_BINS = 32


def run(arguments: argparse.Namespace) -> int:
    """Trains the model with two heads for its stuck task, and compares the scores."""
    data = mtl.datasets.rotated_digits(copies=3, num_bins=_BINS, seed=arguments.seed)
    data = data.with_kinds({"orientation": f"orientation:{_BINS}"})
    folder = open_output(arguments, data)
    print(data.summary(), flush=True)
    print(
        "\nThree tasks share one backbone: what is the digit, how is it turned, how bright is it?"
    )

    print("\n1. A head for orientation that averages over all positions", flush=True)
    stuck = _model(arguments.seed)
    before = _scores(stuck, data, arguments)
    print("\n2. The same model with a head that reads the map in polar coordinates:", flush=True)
    print('   model.with_head("orientation", mtl.heads.OrientationHead(32, spatial="polar"))')
    keras.utils.set_random_seed(arguments.seed)
    polar = mtl.heads.OrientationHead(_BINS, spatial="polar")
    cured = _model(arguments.seed).with_head("orientation", polar)
    after = _scores(cured, data, arguments)

    title = f"Scores on {len(data.x_test)} test images, with 95 % intervals"
    print(f"\n{skill_table(before, f'{title}. 1. Pooled head:')}")
    print(f"\n{skill_table(after, '2. Polar head:')}", flush=True)
    stuck.save(folder / "stuck.keras")
    cured.save(folder / "cured.keras")
    data.save_npz(folder / "digits.npz")
    say_where(folder, "digits.npz", "stuck.keras", "cured.keras")
    _say_next(folder)
    return FINE


def _model(seed: int) -> mtl.MultiTaskModel:
    """The three-task model with a pooled orientation head."""
    keras.utils.set_random_seed(seed)
    return mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone(filters=(16, 32, 64)),
        [
            mtl.Task("identity", mtl.heads.ClassificationHead(10)),
            mtl.Task("orientation", mtl.heads.OrientationHead(_BINS, spatial="pool")),
            mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="stop"),
        ],
    )


def _scores(
    model: mtl.MultiTaskModel, data: MultiTaskData, arguments: argparse.Namespace
) -> list[Skill]:
    """Trains a model, and scores it."""
    model.compile(keras.optimizers.Adam(2e-3))
    model.fit(
        data.x_train,
        data.y_train,
        validation_data=(data.x_val, data.y_val),
        batch_size=32,
        epochs=arguments.epochs,
        callbacks=[EpochLines()],
        verbose=0,
    )
    return task_skills(model, data.x_test, data.y_test, data.y_train)


def _say_next(folder: Path) -> None:
    print("\nNext, on these data or on yours:")
    print(f"  mtlkit diagnose {folder}/digits.npz --model {folder}/stuck.keras --task orientation")
    print(f"  mtlkit search {folder}/digits.npz --task orientation --time-budget 5m")
