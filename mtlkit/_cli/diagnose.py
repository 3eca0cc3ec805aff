"""`mtlkit diagnose`: why does a task not learn?"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras

from mtlkit._cli.given import new_model, read_data, read_model, targets
from mtlkit._cli.output import file_name, open_output, say_where, warn_of_other_splits
from mtlkit._cli.training import save_training, trained
from mtlkit.datasets import MultiTaskData
from mtlkit.diagnostics import Diagnosis, diagnose
from mtlkit.model import MultiTaskModel
from mtlkit_cli import FINE, INTERRUPTED


def run(arguments: argparse.Namespace) -> int:
    """Diagnoses each task that is named, and writes a page for each."""
    given = read_model(arguments)
    data = read_data(arguments, given)
    tasks = targets(arguments, data)
    name = "-".join(["diagnose", data.name, *map(file_name, tasks)])
    warn_of_other_splits(arguments, data)
    folder = open_output(arguments, data, given, name)
    model = given or _trained_before(arguments, data, folder)
    files = [] if given else ["model.keras"]
    for task in tasks:
        found = _diagnosis(model, data, task, arguments, folder)
        said = str(found).replace("found.show()", "see the page")  # what a shell cannot call
        print(f"\n{said}", flush=True)
        files += [f"diagnosis-{file_name(task)}{end}" for end in (".html", ".json")]
        found.save_html(folder / files[-2])
        found.to_json(folder / files[-1])
        if found.setup.get("interrupted"):
            say_where(folder, *files)
            print("Interrupted: what was found is kept; the same command goes on.")
            return INTERRUPTED
    say_where(folder, *files)
    return FINE


def _trained_before(
    arguments: argparse.Namespace, data: MultiTaskData, folder: Path
) -> MultiTaskModel:
    """The default model, trained; in a diagnosis that goes on, as it was."""
    path = folder / "model.keras"
    if path.is_file():
        print(f"the model is that of {path}", flush=True)
        return keras.models.load_model(path)
    print("no --model is given, so a default one is trained first", flush=True)
    model = new_model(arguments, data)
    if trained(model, data, arguments):
        raise KeyboardInterrupt
    save_training(model, data, folder)
    print("", flush=True)
    return model


def _diagnosis(
    model: MultiTaskModel,
    data: MultiTaskData,
    task: str,
    arguments: argparse.Namespace,
    folder: Path,
) -> Diagnosis:
    return diagnose(
        model,
        data.x_train,
        data.y_train,
        task,
        validation_data=(data.x_val, data.y_val),
        class_names=data.class_names.get(task),
        budget=arguments.budget,
        directory=folder / f"evidence-{file_name(task)}",
        seed=arguments.seed,
    )
