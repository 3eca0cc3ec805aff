"""The one place where declared spaces and KerasTuner's hyperparameters meet.

KerasTuner knows fewer values than spaces have (no tuples, no `None`, no mixture of types), and
its conditions must be open whether they hold or not, or their first trial silently takes
defaults. Both is settled here, so that nothing else needs to know.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any

from mtlkit.space import Boolean, Choice, Fixed, Float, Int, When, settled
from mtlkit.space._values import text_of
from mtlkit.space.parts import same
from mtlkit.space.points import Space, holds, value_of

#: The types of values that KerasTuner knows as such.
_KINDS: dict[type, type] = {Int: int, Float: float, Boolean: bool}


def declare(hp: Any, space: Space, scope: str = "") -> None:
    """Declares a space as hyperparameters."""
    plain = settled(space)
    for name, part in plain.items():
        value = value_of(part)
        if isinstance(value, Fixed):
            continue
        _check_new(hp, _scoped(scope, name), value)
        with contextlib.ExitStack() as stack:
            for parent, values in _conditions(plain, name):
                encoded = [_encode(value_of(plain[parent]), one) for one in values]
                stack.enter_context(hp.conditional_scope(_scoped(scope, parent), encoded))
            _declare_one(hp, _scoped(scope, name), value)


def decode(values: Mapping[str, Any], space: Space, scope: str = "") -> dict[str, Any]:
    """Turns the values of a trial into a point of the space."""
    plain = settled(space)
    point: dict[str, Any] = {}
    for name, part in plain.items():
        if not holds(part, point):
            continue
        value, key = value_of(part), _scoped(scope, name)
        if isinstance(value, Fixed):
            point[name] = value.value
        elif values.get(key) is None:
            raise ValueError(f"Expected a value of {key!r}. Received: {dict(values)}")
        else:
            point[name] = _decode_one(value, values[key], key)
    return point


def encode(point: Mapping[str, Any], space: Space, scope: str = "") -> dict[str, Any]:
    """Turns a point of the space into values of hyperparameters; the reverse of `decode`."""
    plain = settled(space)
    return {
        _scoped(scope, name): _encode(value_of(part), point[name])
        for name, part in plain.items()
        if name in point and not isinstance(value_of(part), Fixed)
    }


def _declare_one(hp: Any, name: str, part: Any) -> None:
    if isinstance(part, Choice):
        hp.Choice(name, [_encode(part, value) for value in part.values])
    elif isinstance(part, Int):
        hp.Int(name, part.low, part.high, step=part.step)
    elif isinstance(part, Float):
        hp.Float(name, part.low, part.high, sampling="log" if part.log else "linear")
    else:
        hp.Boolean(name)


def _conditions(space: Mapping[str, Any], name: str) -> list[tuple[str, tuple[Any, ...]]]:
    """The conditions of an argument, from the outermost one on."""
    chain = []
    part = space[name]
    while isinstance(part, When):
        chain.append((part.parent, tuple(part.values)))
        part = space[part.parent]
    return chain[::-1]


def _encode(part: Any, value: Any) -> Any:
    if isinstance(part, Choice):
        return value if _is_native(part) else text_of(value)
    return _KINDS[type(part)](value)


def _decode_one(part: Any, value: Any, name: str) -> Any:
    if isinstance(part, Choice):
        found = [one for one in part.values if _encode(part, one) == value]
    else:
        found = [_KINDS[type(part)](value)]
    if isinstance(part, Float):  # KerasTuner computes the bounds, with rounding errors
        bound = min(max(found[0], float(part.low)), float(part.high))
        found = [bound] if math.isclose(bound, found[0]) else found
    if not found or found[0] not in part:
        raise ValueError(f"Expected {name!r} to be in {part}. Received: {value!r}")
    return found[0]


def _is_native(part: Choice) -> bool:
    """Whether KerasTuner takes the values as they are: all of one of these types."""
    return any(all(type(value) is kind for value in part.values) for kind in (str, int, float))


def _check_new(hp: Any, name: str, part: Any) -> None:
    """Refuses a name that stands for something else, of which KerasTuner says nothing."""
    import keras_tuner

    probe = keras_tuner.HyperParameters()
    _declare_one(probe, name, part)
    ours = _range(probe.space[0])
    for other in hp.space:
        if other.name == name and not same(_range(other), ours):
            raise ValueError(
                f"Expected {name!r} to be declared once, or always alike. "
                f"Received: {_range(other)} and {ours}"
            )


def _range(hyperparameter: Any) -> dict[str, Any]:
    """What a hyperparameter may be; its default may be another in another process."""
    config = hyperparameter.get_config()
    kept = {key: value for key, value in config.items() if key not in ("conditions", "default")}
    return {"type": type(hyperparameter).__name__, **kept}


def _scoped(scope: str, name: str) -> str:
    return f"{scope}/{name}" if scope else name
