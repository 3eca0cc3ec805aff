"""A space in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_spaces import floats, separate, spaces

from mtlkit.heads import OrientationHead
from mtlkit.space import Boolean, Choice, Fixed, Float, Int, When, describe


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Choice(["max", None, (16, 32), 0.5]), "one of max, None, (16, 32), 0.5"),
        (Int(1, 4), "whole number from 1 to 4"),
        (Int(0, 64, 16), "whole number from 0 to 64 in steps of 16"),
        (Float(0.0, 0.5), "number from 0 to 0.5"),
        (Float(1e-4, 1e-2, log=True), "number from 0.0001 to 0.01, on a logarithmic scale"),
        (Boolean(), "true or false"),
        (Fixed("polar"), "always polar"),
        (When("b", "x", Int(1, 4)), "whole number from 1 to 4, where b is x"),
        (When("b", ["x", (1, 2)], Boolean()), "true or false, where b is x or (1, 2)"),
    ],
    ids=repr,
)
def test_parts(part, words):
    space = {"b": Choice(["x", "y", (1, 2)]), "a": part}
    assert describe(space).splitlines()[1] == f"a  {words}"


def test_names_are_aligned():
    text = describe({"a": Fixed(1), "long_name": Fixed(2)})
    assert text == "a          always 1\nlong_name  always 2"


@given(spaces(st.one_of(separate, floats)))
def test_one_line_an_argument(space):
    lines = describe(space).splitlines()
    assert [line.split(" ")[0] for line in lines] == list(space)


def test_a_head():
    assert "number from 0.25 to 1.5, where target is smooth or von_mises" in describe(
        OrientationHead.search_space()
    )


def test_nothing():
    assert describe({}) == ""


def test_error():
    with pytest.raises(ValueError, match="depend on an argument before it"):
        describe({"a": When("b", 1, Boolean())})
