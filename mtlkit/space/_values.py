"""Values in words that are the same in every process, whatever was made before."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def text_of(value: Any) -> str:
    """Returns a text that is the same for equal values.

    Plain values are written as Python writes them, and Keras objects by their config, without
    names that Keras counted up.
    """
    if type(value) in (tuple, list):
        return repr(type(value)(_Text(text_of(one)) for one in value))
    if type(value) is dict:
        if {"class_name", "config"} <= set(value):  # a serialised object
            return _called(value["class_name"], value["config"])
        return repr({key: _Text(text_of(one)) for key, one in value.items()})
    if inspect.isfunction(value) and "<" not in value.__qualname__:
        return f"{value.__module__}.{value.__qualname__}"
    if inspect.isclass(value):
        return repr(value)
    if hasattr(value, "get_config"):
        return _of_object(value)
    if is_dataclass(value):
        own = {field.name: getattr(value, field.name) for field in fields(value)}
        return _called(type(value).__name__, own)
    return repr(value)


def has_stable_text(value: Any) -> bool:
    """Whether equal values have the same text in every process."""
    return isinstance(value, str) or not _ADDRESS.search(text_of(value))


def without_addresses(text: str) -> str:
    """Returns a text without the places in memory that it names."""
    return _ADDRESS.sub("", text)


def is_counted_name(name: str, class_name: str) -> bool:
    """Whether a name is one that Keras gives by itself."""
    plain = re.sub(r"_\d+$", "", name)
    return plain.replace("_", "") == class_name.replace("_", "").lower()


class _Text(str):
    """A text that stands without quotes where it is written within others."""

    __slots__ = ()
    __repr__ = str.__str__


def _of_object(value: Any) -> str:
    try:
        config = value.get_config()
    except Exception:  # an object of the user's, which Keras cannot keep either
        return object.__repr__(value)
    return _called(type(value).__name__, config)


def _called(class_name: str, arguments: Any) -> str:
    """An object as a call of its class."""
    if not isinstance(arguments, Mapping):
        return f"{class_name}({text_of(arguments)})"
    name = arguments.get("name")
    counted = isinstance(name, str) and is_counted_name(name, class_name.rpartition(">")[2])
    kept = {k: v for k, v in arguments.items() if not (k == "name" and counted)}
    return f"{class_name}({', '.join(f'{k}={text_of(v)}' for k, v in kept.items())})"
