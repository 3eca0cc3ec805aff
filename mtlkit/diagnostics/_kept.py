"""Evidence kept in a folder, so that a diagnosis that was interrupted goes on where it was."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mtlkit._files import read_json, write_json
from mtlkit.diagnostics.evidence import Evidence

#: The file in the folder.
_FILE = "evidence.json"
#: Keys that mark an array, a tuple, or a dict with keys other than texts, which JSON lacks.
_ARRAY, _TUPLE, _PAIRS = "__array__", "__tuple__", "__pairs__"


class KeptEvidence:
    """The evidence of one question, in a folder; without a folder it is kept in memory alone.

    Args:
        directory: The folder, made if need be. `None`: none.
        of: A fingerprint of each part of the question, by the name of the part.

    Raises:
        ValueError: If the folder holds the evidence of another question.
    """

    def __init__(self, directory: str | os.PathLike[str] | None, of: Mapping[str, str]) -> None:
        self.path = None if directory is None else Path(directory) / _FILE
        self.of = dict(of)
        self.evidence: dict[str, Evidence] = {}
        kept = None if self.path is None else read_json(self.path)
        if kept is not None:
            other = [name for name in {**self.of, **kept["of"]} if not self._same(name, kept["of"])]
            if other:
                raise ValueError(
                    f"Expected directory={str(directory)!r} with the evidence of this diagnosis. "
                    f"Received: evidence of another {' and '.join(sorted(other))}\n"
                    "Give another directory, or delete this one"
                )
            self.evidence = {name: Evidence(**_read(one)) for name, one in kept["found"].items()}

    def _same(self, name: str, other: Mapping[str, str]) -> bool:
        return self.of.get(name) == other.get(name)

    @property
    def seconds(self) -> float:
        """CPU-seconds that the evidence took."""
        return sum(one.seconds for one in self.evidence.values())

    def keep(self, *found: Evidence) -> None:
        """Adds evidence, and writes all of it: whole, or not at all."""
        self.evidence.update({one.name: one for one in found})
        if self.path is None:
            return
        kept = {name: _written(vars(one)) for name, one in self.evidence.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, {"of": self.of, "found": kept})


def fingerprint(*parts: Any) -> str:
    """A short text that differs if any of the arrays and texts does, in trees of them, too."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        for path, one in keras.tree.flatten_with_path(part):
            digest.update(repr(path).encode())
            if one is None or isinstance(one, str | int | float):
                digest.update(repr(one).encode())
                continue
            array = np.ascontiguousarray(one)
            digest.update(f"{array.shape} {array.dtype}".encode())
            digest.update(repr(array.tolist()).encode() if array.dtype.hasobject else array.data)
    return digest.hexdigest()


def _written(value: Any) -> Any:
    """A value as JSON knows it, so that `_read` returns the same."""
    if isinstance(value, np.ndarray):
        file = io.BytesIO()
        np.save(file, value, allow_pickle=False)
        return {_ARRAY: base64.b64encode(file.getvalue()).decode("ascii")}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return {_TUPLE: [_written(one) for one in value]}
    if isinstance(value, list):
        return [_written(one) for one in value]
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: _written(one) for key, one in value.items()}
        return {_PAIRS: [[_written(key), _written(one)] for key, one in value.items()]}
    return value


def _read(value: Any) -> Any:
    """What was written."""
    if isinstance(value, list):
        return [_read(one) for one in value]
    if not isinstance(value, dict):
        return value
    if _ARRAY in value:
        return np.load(io.BytesIO(base64.b64decode(value[_ARRAY])), allow_pickle=False)
    if _TUPLE in value:
        return tuple(_read(value[_TUPLE]))
    if _PAIRS in value:
        return {_read(key): _read(one) for key, one in value[_PAIRS]}
    return {key: _read(one) for key, one in value.items()}
