"""Declared search spaces: their parts, and sampling."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlkit.space import Boolean, Choice, Fixed, Float, Int, When, sample

seeds = st.integers(0, 2**32 - 1)
finite = st.floats(-1e100, 1e100)


def draws(space, count=200, seed=0):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


class TestChoice:
    def test_each_value_is_drawn(self):
        values = [(16, 32), "a", None, 3, 0.5, True]
        found = draws(Choice(values))
        assert {repr(value) for value in found} == {repr(value) for value in values}

    def test_draws_are_uniform(self):
        found = draws(Choice(["a", "b"]), count=2000)
        assert found.count("a") == pytest.approx(1000, abs=4 * np.sqrt(500))

    def test_values_may_be_any_sequence(self):
        assert Choice(range(3)).values == Choice([0, 1, 2]).values == (0, 1, 2)

    def test_equal_numbers_of_other_types_are_different(self):
        assert Choice([1, True, 1.0]).values == (1, True, 1.0)

    def test_grid(self):
        values = [(16, 32), "a", None, 3]
        assert Choice(values).grid(2) == values

    def test_in(self):
        choice = Choice([1, True, None, (1, 2), "a"])
        assert all(value in choice for value in (1, True, None, (1, 2), "a"))
        assert not any(value in choice for value in (1.0, False, [1, 2], (1,), "None", "b"))

    @pytest.mark.parametrize("values", [[], [1, 2, 1], ["a", "a"], [(1, 2), (1, 2)], [None, None]])
    def test_errors(self, values):
        with pytest.raises(ValueError, match=r"Expected different values, at least one\. Received"):
            Choice(values)


class TestInt:
    @given(low=st.integers(-50, 50), span=st.integers(0, 50), step=st.integers(1, 60), seed=seeds)
    def test_stays_in_range(self, low, span, step, seed):
        value = Int(low, low + span, step).sample(np.random.default_rng(seed))
        assert type(value) is int and low <= value <= low + span and (value - low) % step == 0

    def test_both_ends_are_drawn(self):
        assert set(draws(Int(2, 5))) == {2, 3, 4, 5}
        assert set(draws(Int(0, 10, step=5))) == {0, 5, 10}
        assert set(draws(Int(3, 3))) == {3}

    @given(low=st.integers(-50, 50), span=st.integers(0, 50), step=st.integers(1, 60))
    def test_grid_and_in(self, low, span, step):
        part = Int(low, low + span, step)
        expected = [n for n in range(low, low + span + 1) if (n - low) % step == 0]
        assert list(part.grid(2)) == expected
        assert [n for n in range(low - 70, low + span + 70) if n in part] == expected

    def test_in_by_type(self):
        part = Int(0, 3)
        assert 1 in part and np.int64(1) in part
        assert not any(value in part for value in (1.0, True, "1", None, (1,)))

    def test_large_ranges_are_not_listed(self):
        part = Int(0, 10**15)
        assert len(part.grid(2)) == 10**15 + 1
        assert draws(part, count=1)[0] in part

    @pytest.mark.parametrize("arguments", [(3, 2), (0, 4, 0), (0, 4, -1)])
    def test_errors(self, arguments):
        with pytest.raises(ValueError, match=r"low <= high and step >= 1\. Received: Int\(low="):
            Int(*arguments)


class TestFloat:
    @given(bounds=st.tuples(finite, finite).map(sorted), seed=seeds)
    def test_stays_in_range(self, bounds, seed):
        low, high = bounds
        value = Float(low, high).sample(np.random.default_rng(seed))
        assert type(value) is float and low <= value <= high

    @given(
        bounds=st.tuples(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300)).map(sorted), seed=seeds
    )
    def test_stays_in_range_on_a_logarithmic_scale(self, bounds, seed):
        low, high = bounds
        value = Float(low, high, log=True).sample(np.random.default_rng(seed))
        assert type(value) is float and low <= value <= high

    @given(value=st.floats(1e-300, 1e300), log=st.booleans())
    def test_a_point_is_hit(self, value, log):
        assert draws(Float(value, value, log), count=1) == [value]

    @pytest.mark.parametrize(
        ("part", "expected"),
        [
            (Float(0, 3), [0, 1, 2, 3]),
            (Float(-1.0, 0.5), [-1, -0.5, 0, 0.5]),
            (Float(1e-4, 1e-1, log=True), [1e-4, 1e-3, 1e-2, 1e-1]),
            (Float(2, 2), [2]),
            (Float(2, 2, log=True), [2]),
        ],
    )
    def test_grid(self, part, expected):
        found = part.grid(4)
        assert found == pytest.approx(expected)
        assert all(type(value) is float for value in found)

    @given(
        bounds=st.tuples(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300)).map(sorted),
        log=st.booleans(),
        resolution=st.integers(2, 5),
    )
    def test_grid_is_in_range_with_both_bounds(self, bounds, log, resolution):
        part = Float(*bounds, log)
        found = part.grid(resolution)
        assert [found[0], found[-1]] == bounds and found == sorted(found)
        assert all(value in part for value in found)

    @given(value=st.floats(0.1, 10), log=st.booleans())
    def test_grid_of_two_neighbouring_numbers(self, value, log):
        part = Float(value, float(np.nextafter(value, np.inf)), log)
        assert all(one in part for one in part.grid(5))

    def test_in(self):
        part = Float(0, 0.5)
        assert all(value in part for value in (0, 0.0, 0.5, np.float32(0.25), np.float64(0.25)))
        outside = (-1e-9, 0.6, 1, np.nan, np.inf, False, "0.1", None)
        assert not any(value in part for value in outside)

    def test_bounds_may_be_whole_numbers(self):
        assert all(type(value) is float for value in draws(Float(1, 1, log=True), count=3))

    def test_scales(self):
        """A third of the decades, and a third of the range."""
        decades = np.array(draws(Float(1e-4, 1e-1, log=True), count=3000))
        assert np.mean(decades < 1e-3) == pytest.approx(1 / 3, abs=0.04)
        linear = np.array(draws(Float(0.0, 3.0), count=3000))
        assert np.mean(linear < 1) == pytest.approx(1 / 3, abs=0.04)

    @pytest.mark.parametrize(
        "arguments",
        [(1, 0), (0.0, 1.0, True), (-1.0, 1.0, True), (0, np.inf), (np.nan, 1), (-np.inf, 0)],
    )
    def test_errors(self, arguments):
        message = r"finite low <= high, and low > 0 where log=True\. Received: Float\(low="
        with pytest.raises(ValueError, match=message):
            Float(*arguments)


def test_boolean():
    found = draws(Boolean())
    assert set(found) == {True, False} and all(type(value) is bool for value in found)
    assert Boolean().grid(2) == [False, True]
    assert True in Boolean() and False in Boolean()
    assert not any(value in Boolean() for value in (0, 1, "True", None))


def test_fixed():
    value = object()
    assert draws(Fixed(value), count=1) == Fixed(value).grid(2) == [value]
    assert value in Fixed(value) and object() not in Fixed(value)
    assert 1 in Fixed(1) and 1.0 not in Fixed(1) and [1] not in Fixed((1,))
    assert sample({"a": Fixed((1, 2))}, np.random.default_rng(0)) == {"a": (1, 2)}


def test_spaces_are_data():
    assert Float(1, 2) == Float(1, 2) != Float(1, 2, log=True)
    assert When("a", "x", Int(0, 1)) == When("a", ["x"], Int(0, 1))
    assert When("a", [(1, 2)], Int(0, 1)).values == ((1, 2),)
    assert repr(Choice([1, 2])) == "Choice(values=(1, 2))"
    with pytest.raises(dataclasses.FrozenInstanceError):
        Int(0, 1).low = 5


class TestSample:
    space = {  # noqa: RUF012
        "kind": Choice(["plain", "polar", "none"]),
        "radii": When("kind", "polar", Int(4, 8)),
        "width": When("kind", ["plain", "polar"], Choice([64, 128])),
        "rate": Float(0.0, 0.5),
        "deep": When("radii", [4, 5], Boolean()),
    }

    @given(seed=seeds)
    def test_conditions_hold(self, seed):
        point = sample(self.space, np.random.default_rng(seed))
        assert point["kind"] in ("plain", "polar", "none") and 0 <= point["rate"] <= 0.5
        assert ("radii" in point) == (point["kind"] == "polar")
        assert ("width" in point) == (point["kind"] != "none")
        assert ("deep" in point) == (point.get("radii") in (4, 5))
        order = [name for name in self.space if name in point]
        assert list(point) == order

    @given(seed=seeds)
    def test_same_seed_same_point(self, seed):
        first, second = (sample(self.space, np.random.default_rng(seed)) for _ in range(2))
        assert first == second

    def test_every_branch_is_reached(self):
        rng = np.random.default_rng(0)
        points = [sample(self.space, rng) for _ in range(100)]
        assert {tuple(point) for point in points} == {
            ("kind", "rate"),
            ("kind", "width", "rate"),
            ("kind", "radii", "width", "rate"),
            ("kind", "radii", "width", "rate", "deep"),
        }

    def test_a_parent_that_is_left_out_has_no_value(self):
        """Not even None."""
        space = {
            "a": Fixed("x"),
            "b": When("a", "y", Choice([None, 1])),
            "c": When("b", [None], Fixed(3)),
        }
        assert sample(space, np.random.default_rng(0)) == {"a": "x"}
        space["a"] = Fixed("y")
        points = [sample(space, np.random.default_rng(seed)) for seed in range(20)]
        assert {"a": "y", "b": None, "c": 3} in points and {"a": "y", "b": 1} in points

    def test_empty(self):
        assert sample({}, np.random.default_rng(0)) == {}

    @pytest.mark.parametrize("parent", ["b", "c", "nobody"])
    def test_parent_stands_before(self, parent):
        space = {"a": Boolean(), "b": When(parent, True, Int(0, 1)), "c": Boolean()}
        message = rf"'b' to depend on an argument before it\. Received: parent='{parent}'"
        with pytest.raises(ValueError, match=message):
            sample(space, np.random.default_rng(0))


@pytest.mark.parametrize("space", [When("a", 1, Int(0, 1)), [1, 2], 3], ids=["when", "list", "int"])
def test_conditions_are_on_values(space):
    with pytest.raises(ValueError, match="Expected space to be a Choice, .* Received: space="):
        When("a", 1, space)
