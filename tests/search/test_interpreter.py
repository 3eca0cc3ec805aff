"""Declared spaces and KerasTuner's hyperparameters: nothing is lost between them."""

import json

import keras_tuner
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_spaces import brute_force, floats, key, separate, spaces, value_of

from mtlkit.search._interpreter import declare, decode, encode
from mtlkit.space import Boolean, Choice, Fixed, Float, Int, When, check_point, points

any_spaces = spaces(st.one_of(separate, floats))
scopes = st.sampled_from(["", "head"])
seeds = st.integers(1, 10**6)


def declared(space, scope=""):
    hp = keras_tuner.HyperParameters()
    declare(hp, space, scope)
    return hp


def drawn(hp, count, seed):
    """What KerasTuner's random search tries: a dict of values a trial."""
    oracle = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("score", "max"),
        max_trials=count,
        seed=seed,
        hyperparameters=hp,
        allow_new_entries=False,
    )
    return [oracle.populate_space(str(number))["values"] for number in range(count)]


def sent(hp):
    """As it arrives in another process."""
    return keras_tuner.HyperParameters.from_proto(hp.to_proto())


def kept(hp):
    """As it comes back from a file."""
    config = json.loads(json.dumps(hp.get_config()))
    return keras_tuner.HyperParameters.from_config(config)


class TestRandomSearch:
    @settings(max_examples=150)
    @given(any_spaces, scopes, seeds)
    def test_what_is_drawn_is_a_point(self, space, scope, seed):
        for values in drawn(declared(space, scope), 5, seed):
            check_point(space, decode(values, space, scope))

    @settings(max_examples=150)
    @given(spaces(most=4), seeds)
    def test_every_point_is_drawn(self, space, seed):
        """Conditional arguments over their whole range, too, from the first trial on."""
        expected = brute_force(space)
        found = drawn(declared(space), 25 * len(expected), seed)
        assert {key(decode(values, space)) for values in found} == expected

    def test_no_silent_defaults(self):
        space = {
            "design": Choice(["plain", "polar"]),
            "filters": When("design", "polar", Choice([(16,), (16, 32)])),
            "rate": When("filters", [(16, 32)], Float(0.1, 0.9)),
            "scale": When("design", "plain", Float(1e-4, 1e-1, log=True)),
        }
        found = [decode(values, space) for values in drawn(declared(space), 600, 1)]
        rates = [point["rate"] for point in found if "rate" in point]
        scales = [point["scale"] for point in found if "scale" in point]
        assert len(rates) == pytest.approx(150, abs=45)
        assert len(scales) == pytest.approx(300, abs=50)
        assert len(set(rates)) == len(rates) and len(set(scales)) == len(scales)
        thirds = [sum(low <= rate < low + 0.8 / 3 for rate in rates) for low in (0.1, 0.367, 0.634)]
        assert min(thirds) > len(rates) / 5
        decades = [sum(low <= scale < 10 * low for scale in scales) for low in (1e-4, 1e-3, 1e-2)]
        assert min(decades) > len(scales) / 5

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of KerasTuner's
    def test_trials_have_what_was_drawn(self, tmp_path):
        """Not only what is proposed: what a trial is given, too."""
        space = {"a": Boolean(), "b": When("a", True, Int(1, 9)), "c": When("b", 1, Boolean())}
        oracle = keras_tuner.oracles.RandomSearchOracle(
            keras_tuner.Objective("score", "max"),
            max_trials=30,
            seed=3,
            hyperparameters=declared(space),
            allow_new_entries=False,
            max_consecutive_failed_trials=99,
        )
        oracle._set_project_dir(str(tmp_path), "project")
        oracle._display.verbose = 0
        found = set()
        for _ in range(30):
            trial = oracle.create_trial("tuner")
            if trial.status == "STOPPED":  # all points were tried
                break
            found.add(key(decode(trial.hyperparameters.values, space)))
            trial.status = "INVALID"
            oracle.end_trial(trial)
        assert found == brute_force(space)


class TestDecode:
    @settings(max_examples=150)
    @given(any_spaces, scopes)
    def test_undoes_encode(self, space, scope):
        for point in points(space, 3):
            found = decode(encode(point, space, scope), space, scope)
            assert found == point and list(map(repr, found)) == list(map(repr, point))
            assert {k: type(v) for k, v in found.items()} == {k: type(v) for k, v in point.items()}

    @settings(max_examples=150)
    @given(any_spaces, seeds)
    def test_other_values_do_not_matter(self, space, seed):
        for values in drawn(declared(space, "head"), 3, seed):
            more = {"tuner/epochs": 3, "tuner/bracket": 1, "other/v": 7, "v": "stray", **values}
            assert decode(more, space, "head") == decode(values, space, "head")

    @settings(max_examples=150)
    @given(any_spaces, seeds)
    def test_travelled_values_give_the_same_point(self, space, seed):
        hp = declared(space, "head")
        for values in drawn(hp, 3, seed):
            there = hp.copy()
            there.values = dict(values)
            expected = decode(values, space, "head")
            for way in (sent, kept):
                assert key(decode(way(there).values, space, "head")) == key(expected)
                assert decode(way(there).values, space, "head") == expected

    @given(
        bounds=st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)).map(sorted),
        log=st.booleans(),
        share=st.sampled_from([0.0, 1.0]),
    )
    @example(bounds=[2.39, 6.72], log=False, share=1.0)
    @example(bounds=[2.26, 5.56], log=True, share=1.0)
    def test_rounding_errors_stay_in_range(self, bounds, log, share):
        space = {"a": Float(*bounds, log)}
        for hyperparameter in declared(space).space:  # none, if there is one value
            values = {"a": hyperparameter.prob_to_value(share)}
            assert decode(values, space)["a"] == pytest.approx(bounds[int(share)])
            check_point(space, decode(values, space))

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"head/kind": "polar"}, r"a value of 'head/radii'\. Received: \{'head/kind': 'polar'"),
            ({"head/kind": "polar", "head/radii": None}, "a value of 'head/radii'"),
            ({"kind": "plain"}, "a value of 'head/kind'"),
            ({"head/kind": "flat"}, r"'head/kind' to be in Choice.* Received: 'flat'"),
            ({"head/kind": "polar", "head/radii": 9}, "'head/radii' to be in Int.* Received: 9"),
            ({"head/kind": "plain", "head/rate": 0.51}, "'head/rate' to be in Float"),
        ],
    )
    def test_errors(self, values, message):
        space = {
            "kind": Choice(["plain", "polar"]),
            "radii": When("kind", "polar", Int(4, 8)),
            "rate": When("kind", "plain", Float(0.0, 0.5)),
        }
        with pytest.raises(ValueError, match=message):
            decode(values, space, "head")

    def test_fixed_arguments_need_no_value(self):
        space = {"a": Fixed(object), "b": Choice([(1,)]), "c": When("a", [object], Fixed(None))}
        assert declared(space).space == []
        assert decode({}, space) == {"a": object, "b": (1,), "c": None}
        assert encode({"a": object, "b": (1,), "c": None}, space) == {}


@pytest.mark.parametrize(
    "values",
    [
        [True, False],
        [(16,), (16, 32), ()],
        [None, "none", "None"],
        [1, 1.0, True, "1"],
        [0, 64, 128],
        [0.0, 0.1],
        ["a", "b"],
        [[1, 2], (1, 2), {"a": 1}],
    ],
    ids=repr,
)
def test_choices_of_any_type(values):
    space = {"a": Choice(values), "b": When("a", [values[-1]], Boolean())}
    hp = declared(space)
    found = [decode(one, space)["a"] for one in drawn(hp, 60, 1)]
    assert {repr(value) for value in found} == {repr(value) for value in values}
    for value in values:
        point = {"a": value, "b": True} if value is values[-1] else {"a": value}
        there = hp.copy()
        there.values = encode(point, space)
        for one in (there, sent(there), kept(there)):
            assert repr(decode(one.values, space)) == repr(point)


def test_numbers_stay_numbers():
    """A tuner that models them can tell which are near."""
    hp = declared({"a": Choice([0, 64]), "b": Choice([0.0, 0.1]), "c": Choice(["x", "y"])})
    assert [part.values for part in hp.space] == [[0, 64], [0.0, 0.1], ["x", "y"]]
    assert [part.ordered for part in hp.space] == [True, True, False]


def test_points_of_numpy_numbers_are_encoded_as_plain_ones():
    space = {"a": Int(0, 9), "b": Float(0, 1)}
    encoded = encode({"a": np.int64(3), "b": np.float32(0.5)}, space)
    assert json.loads(json.dumps(encoded)) == {"a": 3, "b": 0.5}
    assert type(encode({"b": 1}, {"b": Float(0, 1)})["b"]) is float


class TestDeclare:
    @settings(max_examples=150)
    @given(any_spaces, scopes)
    def test_twice_is_once(self, space, scope):
        hp = declared(space, scope)
        for again in (hp, sent(hp), kept(hp)):
            before = len(again.space)
            declare(again, space, scope)
            assert len(again.space) == before

    @settings(max_examples=150)
    @given(any_spaces)
    def test_scopes_are_apart(self, space):
        hp = declared(space, "one")
        declare(hp, space, "two")
        names = [part.name for part in hp.space]
        assert len(set(names)) == len(names)
        assert all(
            condition.name.split("/")[0] == part.name.split("/")[0]
            for part in hp.space
            for condition in part.conditions
        )

    @settings(max_examples=150)
    @given(any_spaces)
    def test_what_is_settled_is_no_hyperparameter(self, space):
        """Every hyperparameter is active in some trials, and takes several values."""
        hp = declared(space)
        listed = list(points(space, 2))
        assert {part.name for part in hp.space} == {
            name
            for name, part in space.items()
            if len({key({"": p[name]}) for p in listed if name in p}) > 1
            and not isinstance(value_of(part), Fixed)
        }

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (Int(1, 4), Int(1, 5)),
            (Int(1, 4), Int(1, 4, 2)),
            (Int(1, 4), Float(1, 4)),
            (Float(1, 4), Float(1, 4, log=True)),
            (Float(1, 4), Float(1, 3)),
            (Choice(["a", "b"]), Choice(["b", "a"])),
            (Choice([1, 2]), Choice([1.0, 2.0])),
            (Choice([True, False]), Boolean()),
        ],
        ids=["high", "step", "type", "log", "bound", "order", "numbers", "boolean"],
    )
    def test_another_range_is_refused(self, first, second):
        for one, other in ((first, second), (second, first)):
            hp = declared({"a": one}, "head")
            for there in (hp, sent(hp)):
                with pytest.raises(ValueError, match="'head/a' to be declared once.* Received: "):
                    declare(there, {"a": other}, "head")

    def test_hyperparameters_of_others_are_refused(self):
        hp = keras_tuner.HyperParameters()
        hp.Fixed("a", 3)
        with pytest.raises(ValueError, match="'a' to be declared once"):
            declare(hp, {"a": Int(1, 3)})
        declare(hp, {"b": Int(1, 3)})
        assert [part.name for part in hp.space] == ["a", "b"]

    def test_conditions_reach_the_outermost_parent(self):
        space = {
            "a": Boolean(),
            "b": When("a", True, Choice([(1,), (2,)])),
            "c": When("b", [(2,)], Int(0, 1)),
        }
        conditions = declared(space, "head").space[-1].conditions
        found = [(condition.name, condition.values) for condition in conditions]
        assert found == [("head/a", [True]), ("head/b", ["(2,)"])]

    def test_error(self):
        with pytest.raises(ValueError, match="depend on an argument before it"):
            declared({"a": When("b", 1, Boolean())})
