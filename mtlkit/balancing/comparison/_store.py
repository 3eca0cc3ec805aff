"""What is kept of a comparison: one small file for each thing that has been finished."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import keras

from mtlkit._files import read_json, write_json

#: The number that Keras appends to a name: it depends on how many layers were made before.
_NUMBER = re.compile(r"_\d+$")


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


def description(*things: Any) -> str:
    """What Keras objects are, as text: their configurations, or the class where one has none.

    Names are numbered in the order in which they come, so that those which Keras makes up are the
    same for each call of a function that builds layers.
    """
    configs = [_config(thing) for thing in things]
    names: dict[str, str] = {}
    _find_names(configs, names)
    return json.dumps(_renamed(configs, names), sort_keys=True)


def _config(thing: Any) -> Any:
    try:
        text = json.dumps(keras.saving.serialize_keras_object(thing), default=repr)
        return json.loads(text)
    except (NotImplementedError, TypeError, ValueError):
        return f"{type(thing).__module__}.{type(thing).__qualname__}"


def _find_names(config: Any, names: dict[str, str]) -> None:
    """Notes what is a name in a configuration, and what it is to be called."""
    if isinstance(config, list):
        for one in config:
            _find_names(one, names)
    elif isinstance(config, dict):
        name = config.get("name")
        if isinstance(name, str) and name not in names:
            base = _NUMBER.sub("", name)
            names[name] = f"{base}#{sum(_NUMBER.sub('', known) == base for known in names)}"
        for one in config.values():
            _find_names(one, names)


def _renamed(config: Any, names: dict[str, str]) -> Any:
    if isinstance(config, dict):
        return {names.get(key, key): _renamed(one, names) for key, one in config.items()}
    if isinstance(config, list):
        return [_renamed(one, names) for one in config]
    return names.get(config, config) if isinstance(config, str) else config


def digest(*texts: str) -> str:
    """A short text that stands for long ones."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _as_text(request: Any) -> str:
    return json.dumps(request, sort_keys=True)
