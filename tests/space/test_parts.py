"""Declared search spaces: validation and sampling."""

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


def test_fixed():
    value = object()
    assert draws(Fixed(value), count=1) == [value]
    assert sample({"a": Fixed((1, 2))}, np.random.default_rng(0)) == {"a": (1, 2)}


def test_spaces_are_data():
    assert Float(1, 2) == Float(1, 2) != Float(1, 2, log=True)
    assert When("a", "x", Int(0, 1)) == When("a", ["x"], Int(0, 1))
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
