"""A trial in a process that shares no folder with the search: files go there and come back."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtlkit._files import write_bytes
from mtlkit.search._data import SearchData
from mtlkit.search._job import Job
from mtlkit.search._records import Store
from mtlkit.search._running import make_trials, prepare
from mtlkit.search._training import OutOfTime

#: The content of files by their path in the folder of a search.
Files = dict[str, bytes]

#: The folders with features of frozen backbones, by job and data, as long as this process lives.
_features: dict[tuple[bytes, str], tempfile.TemporaryDirectory] = {}


def run_far_away(
    given: tuple[bytes, SearchData],
    files: Files,
    left: float = math.inf,
    trial: str | None = None,
    values: Mapping[str, Any] | None = None,
    worker: str = "",
) -> tuple[Files, list[str]]:
    """Runs a trial, or what comes before all trials.

    Args:
        given: The job, as `Job.dumped` writes it, and the data.
        files: What `read_files` read.
        left: Seconds that are left.
        trial: Number of the trial. `None`: trains the guard's model and scores the baselines.
        values: What KerasTuner calls the values of the trial's hyperparameters.
        worker: Who runs it.

    Returns:
        The files that are new or have changed, and the lines of progress.
    """
    dumped, data = given
    job = replace(Job.loaded(dumped), ends=time.time() + left)
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        write_files(store, files)
        features = _folder_of_features(dumped, data)
        trials = make_trials(job, data, store.directory, lines.append, features)
        try:
            if trial is None:
                prepare(trials)
            else:
                trials.run(trial, values or {}, worker)
        except OutOfTime:
            pass  # the record says so
        now = read_files(store, whole=True)
    new = {path: content for path, content in now.items() if files.get(path) != content}
    return new, lines


def _folder_of_features(dumped: bytes, data: SearchData) -> Path:
    """The folder of a job; features are then computed once in each process."""
    key = dumped, data.fingerprint()
    if key not in _features:
        _features[key] = tempfile.TemporaryDirectory()
    return Path(_features[key].name)


def read_files(store: Store, begins_from: str | None = None, whole: bool = False) -> Files:
    """Reads what a trial needs: all records, and the weights of the trial that it goes on from.

    Args:
        store: The folder.
        begins_from: That trial. `None`: none.
        whole: Whether to read all weights.
    """
    paths = [*store.directory.glob("*.json"), *store.trials.glob("*.json")]
    if whole:
        paths += store.trials.glob("*.npz")
    elif begins_from is not None:
        paths.append(store.weights_path(begins_from))
    return {str(path.relative_to(store.directory)): path.read_bytes() for path in paths}


def write_files(store: Store, files: Files) -> None:
    """Writes files into the folder of a search: records last, since they vouch for weights."""
    for path in sorted(files, key=lambda path: path.endswith(".json")):
        write_bytes(store.directory / path, files[path])
