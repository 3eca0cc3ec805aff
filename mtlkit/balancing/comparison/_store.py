"""What is kept of a comparison: one small file for each thing that has been finished."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import keras

from mtlkit._files import read_json, write_json

#: The numbers that Keras appends to names: they depend on how many layers were made before.
_COUNTED = re.compile(r'(?<=[a-z])_\d+(?=["/])')


class Store:
    """Results by what was asked for, in a folder or in memory.

    A file is named by the hash of the request and holds the whole request, so a result is never
    taken for that of another one.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._kept: dict[str, Any] = {}
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)

    def get(self, request: dict[str, Any]) -> Any:
        """The result of a request, `None` if there is none yet."""
        text, path = _as_text(request), self._path(request)
        if path is None:
            return self._kept.get(text)
        kept = read_json(path)
        return kept["result"] if kept and _as_text(kept.get("request")) == text else None

    def put(self, request: dict[str, Any], result: Any) -> None:
        """Keeps the result of a request."""
        path = self._path(request)
        if path is None:
            self._kept[_as_text(request)] = result
        else:
            write_json(path, {"request": request, "result": result})

    def _path(self, request: dict[str, Any]) -> Path | None:
        if self._directory is None:
            return None
        name = hashlib.sha256(_as_text(request).encode()).hexdigest()[:20]
        return self._directory / f"{name}.json"


def description(thing: Any) -> str:
    """What a Keras object is, as text: its configuration, or its class where it has none."""
    try:
        config = keras.saving.serialize_keras_object(thing)
        return _COUNTED.sub("", json.dumps(config, sort_keys=True, default=repr))
    except (NotImplementedError, TypeError, ValueError):
        return f"{type(thing).__module__}.{type(thing).__qualname__}"


def digest(*texts: str) -> str:
    """A short text that stands for long ones."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _as_text(request: Any) -> str:
    return json.dumps(request, sort_keys=True)
