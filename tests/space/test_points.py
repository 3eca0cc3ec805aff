"""Points of a space: listed, counted and checked, against brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import (
    VALUES,
    brute_force,
    floats,
    key,
    separate,
    spaces,
    value_of,
    values_of,
    without_inactive,
)

from mtlkit.space import (
    Boolean,
    Choice,
    Fixed,
    Float,
    Int,
    When,
    check_point,
    check_space,
    count,
    points,
    sample,
)

any_spaces = spaces(st.one_of(separate, floats))
resolutions = st.integers(2, 4)

FUNCTIONS = {
    "sample": lambda space: sample(space, np.random.default_rng(0)),
    "points": points,
    "count": count,
    "check_point": lambda space: check_point(space, {}),
    "check_space": check_space,
}


@settings(max_examples=200)
@given(any_spaces, resolutions)
def test_points_are_those_of_brute_force_each_once(space, resolution):
    found = [key(point) for point in points(space, resolution)]
    assert len(set(found)) == len(found)
    assert set(found) == brute_force(space, resolution)


@settings(max_examples=200)
@given(any_spaces, resolutions)
def test_count_is_that_of_brute_force(space, resolution):
    counted = count(space, resolution)
    assert type(counted) is int
    assert counted == len(brute_force(space, resolution))


@settings(max_examples=200)
@given(any_spaces)
def test_count_is_infinite_where_finer_grids_have_more_points(space):
    coarse, fine = len(brute_force(space, 2)), len(brute_force(space, 3))
    assert count(space) == (coarse if coarse == fine else math.inf)


def test_large_spaces_are_counted_without_listing_them():
    space = {
        **{f"a{number}": Choice(range(10)) for number in range(30)},
        "units": Int(1, 10**9),
        "b": When("a0", [1, 2], Int(1, 5)),
    }
    assert count(space) == 10**29 * 10**9 * (8 + 2 * 5)
    assert sample(space, np.random.default_rng(0))["units"] > 0


@settings(max_examples=200)
@given(any_spaces, st.integers(0, 2**32 - 1))
def test_sampled_points_are_points(space, seed):
    point = sample(space, np.random.default_rng(seed))
    check_point(space, point)
    assert list(point) == [name for name in space if name in point]


@settings(max_examples=200)
@given(spaces(most=3))
def test_every_point_is_sampled(space):
    expected = brute_force(space)
    rng = np.random.default_rng(0)
    # No point is rarer than one in this number.
    rarest = math.prod(len(values_of(value_of(part), 2)) for part in space.values())
    assert {key(sample(space, rng)) for _ in range(12 * rarest)} == expected


@settings(max_examples=200)
@given(any_spaces, st.data())
def test_a_point_passes_the_check_just_if_it_is_one(space, data):
    """Made of values in and out of range, with arguments missing or too many."""
    known = {name: values_of(value_of(part), 2) for name, part in space.items()}
    point = {
        name: data.draw(st.sampled_from([*values, *data.draw(st.sampled_from([[], VALUES]))]))
        for name, values in known.items()
    }
    if data.draw(st.booleans()):
        point = without_inactive(space, point)
    if point and data.draw(st.booleans()):
        point.pop(data.draw(st.sampled_from(sorted(point))))
    if is_point(space, point):
        check_point(space, point)
    else:
        with pytest.raises(ValueError, match="Expected .* Received: "):
            check_point(space, point)


def is_point(space, point):
    if any(name not in space for name in point) or point != without_inactive(
        space, {**dict.fromkeys(space), **point}
    ):
        return False
    return all(is_value(value_of(space[name]), value) for name, value in point.items())


def is_value(part, value):
    if isinstance(part, Float):
        return type(value) in (int, float) and part.low <= value <= part.high
    return repr(value) in map(repr, values_of(part, 2))


SPACE = {
    "kind": Choice(["plain", "polar"]),
    "radii": When("kind", "polar", Int(4, 8, 2)),
    "rate": Float(0.0, 0.5),
    "deep": When("radii", [4, 6], Boolean()),
    "bins": Fixed(32),
}
POINT = {"kind": "polar", "radii": 4, "rate": 0.1, "deep": True, "bins": 32}


@pytest.mark.parametrize(
    ("changes", "left_out", "message"),
    [
        ({}, ["rate"], r"the arguments \['kind', 'radii', 'rate', 'deep', 'bins'\]"),
        ({"width": 3}, [], r"Received: \[.*'width'\]"),
        ({"kind": "plain"}, [], r"the arguments \['kind', 'rate', 'bins'\]"),
        ({"radii": 8}, [], r"the arguments \['kind', 'radii', 'rate', 'bins'\]"),
        (
            {"radii": 5},
            ["deep"],
            r"radii to be in Int\(low=4, high=8, step=2\)\. Received: radii=5",
        ),
        ({"rate": 0.6}, [], r"Received: rate=0\.6"),
        ({"rate": math.nan}, [], "Received: rate=nan"),
        ({"bins": 32.0}, [], r"bins to be in Fixed\(value=32\)\. Received: bins=32\.0"),
        ({"kind": None}, ["radii", "deep"], "Received: kind=None"),
    ],
)
def test_points_that_are_none(changes, left_out, message):
    check_point(SPACE, POINT)
    point = {k: v for k, v in {**POINT, **changes}.items() if k not in left_out}
    with pytest.raises(ValueError, match=message):
        check_point(SPACE, point)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"a": [1, 2]}, r"'a' to be a Choice, .* Received: a=\[1, 2\]"),
        ({"a": When("b", 1, Int(1, 2)), "b": Int(1, 2)}, "'a' to depend on an argument before it"),
        ({"a": When("a", 1, Int(1, 2))}, "'a' to depend on an argument before it"),
        (
            {"a": Float(0, 1), "b": When("a", 0.5, Int(1, 2))},
            "'b' to depend on an argument of separate values, not a Float. Received: parent='a'",
        ),
    ],
    ids=["no_part", "order", "itself", "float"],
)
def test_spaces_that_are_none(function, space, message):
    with pytest.raises(ValueError, match=message):
        FUNCTIONS[function](space)


@pytest.mark.parametrize("function", [points, count])
@pytest.mark.parametrize("resolution", [-1, 0, 1])
def test_resolution_must_have_both_bounds(function, resolution):
    with pytest.raises(ValueError, match=f"resolution >= 2. Received: resolution={resolution}"):
        function(SPACE, resolution)


def test_points_come_one_by_one():
    endless = points({f"a{number}": Choice(range(10)) for number in range(30)})
    first, second = itertools.islice(endless, 2)
    assert first["a29"] == 0 and second["a29"] == 1


def test_points_are_independent():
    first, *others = points({"a": Int(0, 3), "b": Boolean()})
    first["a"] = "changed"
    assert all(point["a"] != "changed" for point in others)


def test_the_empty_space_has_one_point():
    assert list(points({})) == [{}]
    assert count({}) == 1
    check_point({}, {})
