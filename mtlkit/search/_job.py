"""What another process needs to take part in a search: one file, and the arrays beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import keras

from mtlkit._files import write_bytes
from mtlkit.search._data import SearchData
from mtlkit.search._head_space import HeadSpace
from mtlkit.search._settings import Settings

_FILE = "job.pkl"


@dataclass
class Job:
    """A search, without its state.

    Attributes:
        space: What is searched.
        settings: How trials are trained and judged.
        tuner: Name of the tuner.
        max_trials: Number of trials at most.
        freeze_backbone: Whether the backbone stays as it is.
        ends: When time is up, by `time.time()`.
        tensorboard: The folder for TensorBoard.
        worker_timeout: Seconds after which a worker elsewhere is given up that does not show
            that it lives.
    """

    space: HeadSpace
    settings: Settings
    tuner: str
    max_trials: int | None
    freeze_backbone: bool
    ends: float
    tensorboard: str | None = None
    worker_timeout: float = 60.0

    def save(self, directory: Path, data: SearchData) -> None:
        """Writes the job, and the data, into the folder of the search.

        Classes that other processes cannot import, such as those of a notebook, are written
        whole, and so are the user's objects that Keras has registered.
        """
        data.save(directory / "data")
        write_bytes(directory / _FILE, self.dumped())

    def dumped(self) -> bytes:
        """The job as bytes, with the user's objects that Keras has registered."""
        return cloudpickle.dumps((self, _registered()))

    @classmethod
    def load(cls, directory: Path) -> tuple[Job, SearchData]:
        """Reads what `save` wrote. Open only folders that you trust: it is a pickle."""
        job = cls.loaded((directory / _FILE).read_bytes())
        return job, SearchData.load(directory / "data")

    @classmethod
    def loaded(cls, dumped: bytes) -> Job:
        """Reads what `dumped` gave. Read only bytes that you trust: they are a pickle."""
        job, registered = cloudpickle.loads(dumped)
        keras.saving.get_custom_objects().update(registered)
        return job


def _registered() -> dict[str, Any]:
    """The objects that Keras knows by name and that come with neither Keras nor this library."""
    return {
        name: thing
        for name, thing in keras.saving.get_custom_objects().items()
        if getattr(thing, "__module__", "").partition(".")[0] not in ("keras", "mtlkit")
    }
