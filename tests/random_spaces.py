"""Random search spaces, and their points by brute force, independent of `mtlkit.space.points`."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st

from mtlkit.space import Boolean, Choice, Fixed, Float, Int, When

#: Values of all the types that spaces have and KerasTuner has not.
VALUES = (None, True, 1, 1.0, 0.25, "a", "None", "1", "", (16,), (16, 32))

choices = st.one_of(
    st.lists(st.sampled_from(VALUES), min_size=1, max_size=3, unique_by=repr),
    st.lists(st.sampled_from(["a", "b", "1"]), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from([0, 1, 7]), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from([0.0, 0.1, 3.5]), min_size=1, max_size=3, unique=True),
).map(Choice)
ints = st.builds(
    lambda low, span, step: Int(low, low + span, step),
    st.integers(-3, 3),
    st.sampled_from([0, 1, 2, 4]),
    st.integers(1, 3),
)
floats = st.one_of(
    st.sampled_from([(0, 1), (-0.5, 2.5), (0.1, 0.1)]).map(lambda ends: Float(*ends)),
    st.sampled_from([(1e-4, 1e-2), (0.25, 4), (3, 3)]).map(lambda ends: Float(*ends, log=True)),
)
fixed = st.sampled_from(VALUES).map(Fixed)
separate = st.one_of(choices, ints, st.just(Boolean()), fixed)


@st.composite
def spaces(draw, parts=separate, most=5):
    """Draws a space of `parts`, many of them under conditions on any argument before them."""
    space = {}
    for name in "vwxyz"[: draw(st.integers(0, most))]:
        part = draw(parts)
        parents = [one for one, p in space.items() if not isinstance(value_of(p), Float)]
        if parents and draw(st.sampled_from([True, True, False])):
            parent = draw(st.sampled_from(parents[::-1]))
            known = values_of(value_of(space[parent]), 2)
            some = st.lists(st.sampled_from([*known, "never"]), max_size=3)
            part = When(parent, draw(st.one_of(st.just(known[:1]), st.just(known), some)), part)
        space[name] = part
    return space


def value_of(part):
    """What an argument may be, without its condition."""
    return part.space if isinstance(part, When) else part


def values_of(part, resolution):
    """The values of a part, in plain Python."""
    if isinstance(part, Choice):
        return list(part.values)
    if isinstance(part, Int):
        return [
            value for value in range(part.low, part.high + 1) if not (value - part.low) % part.step
        ]
    if isinstance(part, Boolean):
        return [False, True]
    if isinstance(part, Fixed):
        return [part.value]
    if part.low == part.high:
        return [float(part.low)]
    shares = [number / (resolution - 1) for number in range(resolution)]
    if part.log:
        return [part.low * (part.high / part.low) ** share for share in shares]
    return [part.low + (part.high - part.low) * share for share in shares]


def key(point):
    """The same for the same arguments, to nine digits, whatever their order."""
    return frozenset(
        (name, f"{value:.9g} float" if type(value) is float else repr(value))
        for name, value in point.items()
    )


def without_inactive(space, values):
    """Leaves out of a value for every argument those whose conditions do not hold."""
    point = {}
    for name, part in space.items():
        if isinstance(part, When):
            there = [value for parent, value in point.items() if parent == part.parent]
            if not any(repr(value) in map(repr, part.values) for value in there):
                continue
        point[name] = values[name]
    return point


def brute_force(space, resolution=3):
    """The keys of all points: of all combinations of values, the different ones."""
    lists = [values_of(value_of(part), resolution) for part in space.values()]
    combinations = itertools.product(*lists)
    return {
        key(without_inactive(space, dict(zip(space, one, strict=True)))) for one in combinations
    }


@st.composite
def points_of(draw, space):
    """Draws a point of a space."""
    values = {
        name: draw(st.floats(part.low, part.high))
        if isinstance(part, Float)
        else draw(st.sampled_from(values_of(part, 2)))
        for name, part in ((name, value_of(part)) for name, part in space.items())
    }
    return without_inactive(space, values)
