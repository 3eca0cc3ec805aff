"""The folder of the results: never one that holds something else."""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

import mtlkit
from mtlkit._files import read_json, write_json
from mtlkit._warnings import warn
from mtlkit.datasets import MultiTaskData
from mtlkit.diagnostics._kept import fingerprint

_SETTINGS = "settings.json"
#: Where folders are made that nobody named.
_DEFAULT = Path("mtlkit-runs")
#: Arguments that results do not depend on, or that only say how long to go on.
_FREE = ("output", "traceback", "budget", "time_budget", "max_trials", "workers", "data", "model")


def open_output(
    arguments: argparse.Namespace,
    data: MultiTaskData,
    model: Any = None,
    name: str | None = None,
) -> Path:
    """Makes the folder of a run, or returns that of an earlier one with the same settings.

    Args:
        arguments: Those of the command.
        data: The data.
        model: The model that was given, if any.
        name: Name of the folder, where none is given.
    """
    settings = _settings(arguments, data, model)
    if arguments.output is not None:
        folder = arguments.output
        if not _is_free(folder, settings):
            raise ValueError(
                "Expected a folder that is new, empty, or of the same settings. Received: "
                f"'{folder}', which holds {_difference(folder, settings)}. Name another --output"
            )
    else:
        folder = _first_free(_DEFAULT / (name or arguments.command), settings)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / _SETTINGS, {**settings, "mtlkit": mtlkit.__version__})
    return folder


def warn_of_other_splits(arguments: argparse.Namespace, data: MultiTaskData) -> None:
    """Says so where a model was trained on other samples than those that are for training now."""
    if arguments.model is None:
        return
    kept = read_json(arguments.model.parent / _SETTINGS)
    if kept is not None and kept.get("inputs") not in (None, _of_inputs(data)):
        warn(
            f"'{arguments.model}' was trained on other data, or on other splits of them. Held-out "
            "samples that it was trained on flatter it: give the same --seed and columns"
        )


def file_name(task: str) -> str:
    """A task's name as a part of the name of a file, different for each task."""
    plain = "".join(one if one.isalnum() or one in "-_." else "_" for one in task)
    return plain if plain == task else f"{plain}-{zlib.crc32(task.encode()):08x}"


def say_where(folder: Path, *files: str) -> None:
    """Names what was written, at the end."""
    print(f"\nIn {folder}: {', '.join(files)}", flush=True)


def _settings(arguments: argparse.Namespace, data: MultiTaskData, model: Any) -> dict[str, Any]:
    """What results depend on, as JSON has it."""
    given = {name: value for name, value in vars(arguments).items() if name not in _FREE}
    given["inputs"] = _of_inputs(data)
    given["labels of tasks"] = fingerprint([y for _, _, y in data.splits()])
    given["model"] = None if model is None else fingerprint(model.get_weights())
    given["backend"] = keras.backend.backend()
    return json.loads(json.dumps(given, default=str))


def _of_inputs(data: MultiTaskData) -> str:
    return fingerprint([x for _, x, _ in data.splits()])


def _first_free(folder: Path, settings: Mapping[str, Any]) -> Path:
    """The folder itself, or one with a number behind its name."""
    number, one = 1, folder
    while not _is_free(one, settings):
        number += 1
        one = folder.with_name(f"{folder.name}-{number}")
    return one


def _is_free(folder: Path, settings: Mapping[str, Any]) -> bool:
    return not _difference(folder, settings)


def _difference(folder: Path, settings: Mapping[str, Any]) -> str:
    """What a folder holds that other settings made; empty if there is no such thing."""
    if folder.is_file():
        return "a file"
    if not folder.is_dir() or not any(folder.iterdir()):
        return ""
    kept = read_json(folder / _SETTINGS)
    if kept is None:
        return "other files"
    other = [name for name, value in settings.items() if kept.get(name) != value]
    return f"results of other settings ({', '.join(other)})" if other else ""
