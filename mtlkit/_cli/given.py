"""What the arguments name: data and a model."""

from __future__ import annotations

import argparse
from typing import Any

import keras

from mtlkit import datasets
from mtlkit.datasets import MultiTaskData
from mtlkit.datasets._made import chosen_tasks
from mtlkit.datasets._table_columns import TABLES
from mtlkit.diagnostics._any_model import adopted
from mtlkit.model import MultiTaskModel

_DATA = f"an .npz file, a table ({', '.join(TABLES)}) or a folder of images with a table"


def read_data(arguments: argparse.Namespace, model: MultiTaskModel | None = None) -> MultiTaskData:
    """Reads the data, and shows what they are."""
    data = _loaded(arguments, model)
    print(data.summary(), end="\n\n", flush=True)
    return data


def read_model(arguments: argparse.Namespace) -> MultiTaskModel | None:
    """Reads the model that is named, adopts it where another one wrote it, and compiles it."""
    if arguments.model is None:
        return None
    if not arguments.model.is_file():
        raise FileNotFoundError(
            f"Expected a model, as model.save('model.keras') writes it. Received: "
            f"'{arguments.model}', which is not there"
        )
    model, _ = adopted(keras.models.load_model(arguments.model))
    if not model.compiled:
        model.compile("adam")
    return model


def targets(arguments: argparse.Namespace, data: MultiTaskData) -> list[str]:
    """The tasks that a command is about, each once, which must be there."""
    return chosen_tasks(arguments.tasks, data.tasks)


def new_model(arguments: argparse.Namespace, data: MultiTaskData) -> MultiTaskModel:
    """Makes the default model of the data, compiled."""
    keras.utils.set_random_seed(arguments.seed)
    model = datasets.default_model(data)
    model.compile("adam")
    heads = ", ".join(f"{name}: {type(t.head).__name__}" for name, t in model.tasks.items())
    print(f"model: {type(model.backbone).__name__}; {heads}", flush=True)
    return model


def of_tasks(model: MultiTaskModel, y: dict[str, Any]) -> dict[str, Any]:
    """The labels of the tasks that a model has."""
    if missing := [task for task in model.tasks if task not in y]:
        raise ValueError(
            f"Expected labels of all tasks of the model, {', '.join(model.tasks)}. "
            f"Received: none of {', '.join(missing)}"
        )
    return {task: y[task] for task in model.tasks}


def _loaded(arguments: argparse.Namespace, model: MultiTaskModel | None) -> MultiTaskData:
    path = arguments.data
    if not path.exists():
        raise FileNotFoundError(f"Expected {_DATA}. Received: '{path}', which is not there")
    common: dict[str, Any] = {
        "tasks": _tasks(arguments, model),
        "ignore": arguments.ignore,
        "kinds": dict(arguments.kinds),
        "split": arguments.split_column,
        "group": arguments.group_column,
        "seed": arguments.seed,
    }
    if path.is_dir() or _is_of_images(arguments):
        _check_unused(arguments, "a folder of images", "inputs")
        return datasets.load_image_folder(
            path if path.is_dir() else path.parent,
            arguments.table if path.is_dir() else path,
            image_column=arguments.image_column,
            image_size=arguments.image_size,
            **common,
        )
    if path.suffix.lower() in TABLES:
        _check_unused(arguments, "a table without --image-column", "inputs", "table", "image_size")
        return datasets.load_table(path, **common)
    if path.suffix.lower() == ".npz":
        _check_unused(arguments, "an .npz file", "table", "image_size", "image_column")
        return datasets.load_npz(path, inputs=arguments.inputs or "x", **common)
    raise ValueError(f"Expected {_DATA}. Received: '{path}'")


def _is_of_images(arguments: argparse.Namespace) -> bool:
    """Whether a table is one of files of images."""
    return arguments.image_column is not None and arguments.data.suffix.lower() in TABLES


def _check_unused(arguments: argparse.Namespace, what: str, *options: str) -> None:
    """Raises a ValueError for options that say nothing about such data."""
    for option in options:
        if getattr(arguments, option) is not None:
            name = f"--{option.replace('_', '-')}"
            raise ValueError(f"Expected no {name} for {what}. Received: {name}; leave it out")


def _tasks(arguments: argparse.Namespace, model: MultiTaskModel | None) -> list[str] | None:
    """The tasks to read: those that are named, and those of the model; `None`: all."""
    named = [*(arguments.tasks or ()), *(arguments.labels or ())]
    of_columns = arguments.data.suffix.lower() in TABLES and not _is_of_images(arguments)
    if model is not None:
        if arguments.command in ("train", "preflight"):
            _check_tasks(model, arguments.tasks or [])
        named = [*model.tasks, *named]
    elif of_columns:
        named += [task for task, _ in arguments.kinds]
    elif arguments.command in ("diagnose", "search") and not arguments.labels:
        return None
    return list(dict.fromkeys(named)) or None


def _check_tasks(model: MultiTaskModel, named: list[str]) -> None:
    """Raises a ValueError where some of the tasks of a model are named, or others."""
    if named and set(named) != set(model.tasks):
        raise ValueError(
            f"Expected no --task beside a model, or all of its tasks: {', '.join(model.tasks)}. "
            f"Received: --task {' --task '.join(named)}; leave it out"
        )
