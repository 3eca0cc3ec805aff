"""A trial in a process that shares no folder with the search: files go there and come back."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
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

#: The folders with features of frozen backbones, by job: kept as long as this process lives.
_features: dict[bytes, tempfile.TemporaryDirectory] = {}


def run_far_away(
    given: tuple[bytes, SearchData],
    files: Files,
    trial: str | None,
    values: Mapping[str, Any] | None = None,
    worker: str = "",
) -> Files:
    """Runs a trial, or what comes before all trials.

    Args:
        given: The job, as `Job.dumped` writes it, and the data.
        files: What `read_files` read.
        trial: Number of the trial. `None`: trains the guard's model and scores the baselines.
        values: What KerasTuner calls the values of the trial's hyperparameters.
        worker: Who runs it.

    Returns:
        The files that are new or have changed.
    """
    dumped, data = given
    job = Job.loaded(dumped)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        write_files(store, files)
        trials = make_trials(job, data, store.directory, _in_silence, _folder_of_features(dumped))
        try:
            if trial is None:
                prepare(trials)
            else:
                trials.run(trial, values or {}, worker)
        except OutOfTime:
            pass  # the record says so
        now = read_files(store, whole=True)
    return {path: content for path, content in now.items() if files.get(path) != content}


def _folder_of_features(dumped: bytes) -> Path:
    """The folder of a job; features are then computed once in each process."""
    if dumped not in _features:
        _features[dumped] = tempfile.TemporaryDirectory()
    return Path(_features[dumped].name)


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


def _in_silence(line: str) -> None:
    """Reports nothing: the process that proposes trials does."""
