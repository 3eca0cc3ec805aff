"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtlkit._warnings import warn


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file whole or not at all."""
    write_bytes(path, json.dumps(content, indent=1).encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def forget_unfinished(path: Path) -> None:
    """Removes what a process that was killed has left of writing a file, which nobody else does."""
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes an array whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.npy")
    np.save(unfinished, array, allow_pickle=False)
    unfinished.replace(path)


def write_arrays(path: Path, arrays: Sequence[np.ndarray]) -> None:
    """Writes several arrays whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.npz")
    np.savez(unfinished, *arrays)
    unfinished.replace(path)


def read_arrays(path: Path) -> list[np.ndarray]:
    """Reads what `write_arrays` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        return [kept[f"arr_{number}"] for number in range(len(kept.files))]


def read_json(path: Path) -> Any:
    """Reads a JSON file; one that is not valid is moved aside, with a warning."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, Mapping):
            return content
    except FileNotFoundError:
        return None
    except (ValueError, UnicodeDecodeError):
        pass
    aside = path.with_name(f"{path.name}.corrupt")
    os.replace(path, aside)
    warn(f"Expected a JSON object in {path}; it is now {aside}")
    return None
