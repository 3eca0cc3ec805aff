"""Spaces made from spaces: the same points in plainer words, or some of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import brute_force, floats, key, separate, spaces, value_of, values_of

from mtlkit.space import Boolean, Choice, Fixed, Float, Int, When, override, points, settled

any_spaces = spaces(st.one_of(separate, floats))


class TestSettled:
    @settings(max_examples=200)
    @given(any_spaces)
    def test_same_points(self, space):
        assert brute_force(settled(space)) == brute_force(space)

    @settings(max_examples=200)
    @given(any_spaces)
    def test_same_order(self, space):
        names = list(space)
        found = list(settled(space))
        assert found == sorted(found, key=names.index)

    @settings(max_examples=200)
    @given(any_spaces)
    def test_nothing_is_left_to_settle(self, space):
        """Every condition can hold and can fail, every range has two values, every value is met."""
        plain = settled(space)
        assert settled(plain) == plain
        listed = [dict(point) for point in brute_force(plain, 2)]
        for name, part in plain.items():
            value = value_of(part)
            met = {point[name] for point in listed if name in point}
            assert len(met) == len(values_of(value, 2))
            assert isinstance(value, Fixed) == (len(met) == 1)
            if isinstance(part, When):
                assert not isinstance(value_of(plain[part.parent]), Fixed)
                there = [point for point in listed if part.parent in point]
                assert any(name in point for point in there)
                assert any(name not in point for point in there)

    @pytest.mark.parametrize(
        ("part", "expected"),
        [
            (Choice(["x"]), Fixed("x")),
            (Choice([(1, 2)]), Fixed((1, 2))),
            (Choice([None]), Fixed(None)),
            (Int(3, 3), Fixed(3)),
            (Int(3, 5, 4), Fixed(3)),
            (Float(2, 2), Fixed(2.0)),
            (Boolean(), Boolean()),
            (Int(1, 10**12), Int(1, 10**12)),
        ],
        ids=repr,
    )
    def test_ranges_of_one_value(self, part, expected):
        assert settled({"a": part}) == {"a": expected}

    def test_conditions(self):
        space = {
            "a": Choice(["x", "y"]),
            "always": When("a", ["y", "x", "z"], Int(0, 1)),
            "never": When("a", "z", Int(0, 1)),
            "below_never": When("never", 1, Int(0, 1)),
            "some": When("a", ["y", "z"], Int(0, 1)),
            "as_some": When("some", [0, 1], Int(0, 1)),
            "fixed_below": When("some", 1, Choice(["only"])),
            "below_fixed": When("fixed_below", "only", Boolean()),
        }
        assert settled(space) == {
            "a": Choice(["x", "y"]),
            "always": Int(0, 1),
            "some": When("a", "y", Int(0, 1)),
            "as_some": When("a", "y", Int(0, 1)),
            "fixed_below": When("some", 1, Fixed("only")),
            "below_fixed": When("some", 1, Boolean()),
        }

    def test_equal_numbers_of_other_types_are_no_condition(self):
        space = {"a": Choice([1, 2]), "b": When("a", [1.0, True], Boolean())}
        assert settled(space) == {"a": Choice([1, 2])}

    def test_error(self):
        with pytest.raises(ValueError, match="depend on an argument before it"):
            settled({"a": When("b", 1, Boolean())})


class TestOverride:
    @settings(max_examples=200)
    @given(any_spaces, st.data())
    def test_a_value_leaves_the_points_that_have_it(self, space, data):
        if not space:
            return
        name = data.draw(st.sampled_from(list(space)))
        value = data.draw(st.sampled_from(values_of(value_of(space[name]), 3)))
        found = {key(point) for point in points(override(space, {name: value}))}
        expected = {
            one for one in brute_force(space) if name not in dict(one) or one >= key({name: value})
        }
        assert found == expected

    @settings(max_examples=200)
    @given(any_spaces)
    def test_no_change(self, space):
        changed = override(space, {})
        assert changed == space and changed is not space

    def test_the_given_space_stays(self):
        space = {"a": Int(1, 3)}
        override(space, {"a": 2, "b": 3})
        assert space == {"a": Int(1, 3)}

    @pytest.mark.parametrize("value", [None, (1, 2), [1, 2], "x", 0.5, {"y": 1}], ids=repr)
    def test_values_fix(self, value):
        assert override({"a": Boolean()}, {"a": value}) == {"a": Fixed(value)}

    @pytest.mark.parametrize(
        "part", [Choice([1, 2]), Int(0, 1), Float(0, 1), Boolean(), Fixed(3)], ids=repr
    )
    def test_parts_are_ranges(self, part):
        space = {"a": Boolean(), "b": When("a", True, Int(5, 6)), "c": Boolean()}
        assert override(space, {"b": part})["b"] == When("a", True, part)
        assert override(space, {"c": part})["c"] == part

    def test_conditions_stay_unless_they_are_changed(self):
        space = {"a": Boolean(), "b": Boolean(), "c": When("a", True, Int(0, 1))}
        assert override(space, {"c": 1})["c"] == When("a", True, Fixed(1))
        changed = When("b", False, Int(0, 1))
        assert override(space, {"c": changed})["c"] == changed

    def test_new_arguments_come_last(self):
        space = {"a": Boolean()}
        changed = override(space, {"b": When("a", True, Int(0, 1)), "c": 3})
        assert list(changed) == ["a", "b", "c"]
        assert changed["c"] == Fixed(3)

    def test_error(self):
        with pytest.raises(ValueError, match="'a' to depend on an argument before it"):
            override({"a": Boolean(), "b": Boolean()}, {"a": When("b", True, Int(0, 1))})
