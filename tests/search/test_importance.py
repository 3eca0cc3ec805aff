"""What mattered, for scores of which that is known."""

import made_searches as made
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.search._importance import importance


def draw(count, seed=0):
    """Points with a family, arguments that depend on it, and settings."""
    rng = np.random.default_rng(seed)
    points = []
    for _ in range(count):
        point = {"family": str(rng.choice(["a", "b", "c"]))}
        if point["family"] == "a":
            point |= {"a.spatial": str(rng.choice(["x", "y"])), "a.rate": rng.random()}
        if point["family"] == "b":
            point |= {"b.size": int(rng.integers(1, 5))}
        point |= {
            "learning_rate": float(np.exp(rng.uniform(-7, -5))),
            "condition_on": [None, "identity"][rng.integers(2)],
            "filters": [[16], [16, 32]][rng.integers(2)],
            "fixed": 3,
        }
        points.append(point)
    return points


def shares(points, score, **options):
    found = importance(points, [score(point) for point in points], **options)
    return {row["argument"]: row for row in found.rows}, found


IRRELEVANT = {
    "learning_rate": lambda p: np.log(p["learning_rate"]),
    "condition_on": lambda p: float(p["condition_on"] is None),
    "filters": lambda p: float(len(p["filters"])),
    "family": lambda p: {"a": 0.0, "b": 0.5, "c": 1.0}[p["family"]],
}


@pytest.mark.parametrize("argument", IRRELEVANT)
def test_one_argument_decides_everything(argument):
    rows, found = shares(draw(60), IRRELEVANT[argument])
    assert found.rows[0]["argument"] == argument
    assert 0.8 < rows[argument]["share"] < 1.1 and rows[argument]["low"] > 0.4
    assert found.explained > 0.85 and found.trials == found.points == 60
    assert "fixed" not in rows
    for name, row in rows.items():
        if name != argument:
            assert row["low"] <= 0 <= row["high"] or abs(row["share"]) < 0.01
            assert abs(row["share"]) < 0.03


def test_shares_are_those_of_the_variance():
    rng = np.random.default_rng(0)
    points = [{"a": rng.random(), "b": rng.random(), "c": rng.random()} for _ in range(150)]
    rows, _ = shares(points, lambda p: 2 * p["a"] + p["b"])  # 4 parts of 5, and 1
    assert rows["a"]["share"] == pytest.approx(0.8, abs=0.1)
    assert rows["b"]["share"] == pytest.approx(0.2, abs=0.05)
    assert rows["c"]["low"] <= 0 <= rows["c"]["high"]


def test_interactions_count_for_both():
    rng = np.random.default_rng(0)
    points = [{n: bool(rng.integers(2)) for n in "ab"} | {"c": rng.random()} for _ in range(80)]
    rows, _ = shares(points, lambda p: float(p["a"] != p["b"]))
    assert rows["a"]["share"] == pytest.approx(1, abs=0.25)
    assert rows["b"]["share"] == pytest.approx(1, abs=0.25)


class TestConditions:
    def test_being_there_counts_for_what_decides_it(self):
        """`a.spatial` and `a.rate` are there just where the family is `a`, and mean nothing."""
        rows, _ = shares(draw(60), lambda p: float(p["family"] == "a"))
        assert rows["family"]["share"] > 0.7
        assert abs(rows["a.spatial"]["share"]) < 0.02 and abs(rows["a.rate"]["share"]) < 0.02

    def test_what_matters_where_it_is(self):
        score = {None: 0.0, "x": 1.0, "y": -1.0}
        points = draw(90)
        rows, found = shares(points, lambda p: score[p.get("a.spatial")])
        assert found.rows[0]["argument"] == "a.spatial" and rows["a.spatial"]["low"] > 0.1
        assert rows["a.spatial"]["trials"] == sum("a.spatial" in point for point in points) < 60
        assert abs(rows["a.rate"]["share"]) < 0.03


def test_noise_has_no_importance():
    excluded = total = 0
    for seed in range(4):
        rng = np.random.default_rng(100 + seed)
        rows, found = shares(draw(30, seed), lambda p, rng=rng: rng.normal(), refits=20)
        excluded += sum(row["low"] > 0 for row in rows.values())
        total += len(rows)
        assert found.explained < 0.1
        assert found.explained > 0 or "do not show what mattered" in str(found)
    assert excluded <= 0.05 * total


@settings(max_examples=5)
@given(st.sampled_from([2.0, 0.25, -1.0, -8.0]))
def test_scale_and_direction_do_not_matter(scale):
    points = draw(25)
    plain, _ = shares(points, lambda p: p["learning_rate"], refits=5)
    scaled, _ = shares(points, lambda p: scale * p["learning_rate"], refits=5)
    for name, row in plain.items():
        np.testing.assert_allclose(scaled[name]["share"], row["share"], rtol=1e-6, atol=1e-9)


def test_the_same_seed_gives_the_same():
    points = draw(25)
    found = [importance(points, range(25), refits=3, seed=seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_repeated_points_are_no_news():
    points = draw(15) * 4
    with pytest.raises(ValueError, match=r"at least 20 different points.*15 points"):
        importance(points, np.arange(60.0))


@pytest.mark.parametrize(
    ("count", "score", "message"),
    [
        (19, 1.0, r"20 different points.*19 points"),
        (30, 0.0, r"1 different scores"),
        (0, 1.0, "20"),
    ],
    ids=["few", "same", "none"],
)
def test_refusals(count, score, message):
    with pytest.raises(ValueError, match=message):
        importance(draw(count), [score * number for number in range(count)])


class TestOfSearch:
    def test_rests_on_trials_with_a_score(self, tmp_path):
        heads = made.space()
        records = made.drawn(40, lambda p: 0.8 if p["family"] == "bins" else 0.3, heads)
        records += [made.record(100 + n, None, records[n].point) for n in range(5)]
        found = made.result(tmp_path, records, heads).importance(refits=20)
        assert found.trials == found.points == 40
        assert found.rows[0]["argument"] == "family" and found.rows[0]["share"] > 0.7
        assert "epochs" not in [row["argument"] for row in found.rows]
        assert "family" in str(found).splitlines()[2] and "40 scores of 40 points" in str(found)

    def test_different_numbers_of_epochs(self, tmp_path):
        """Hyperband gives better points more epochs, which is not their merit."""
        heads = made.space()
        records = made.drawn(30, lambda p: 0.3, heads)
        for number, record in enumerate(list(records)):
            longer = made.record(100 + number, 0.7, record.point, budget=9, epochs=9)
            records += [longer] if number % 2 else []
        found = made.result(tmp_path, records, heads).importance(refits=20)
        assert (found.trials, found.points) == (45, 30)
        assert found.rows[0]["argument"] == "epochs" and found.rows[0]["low"] > 0.3
        assert all(abs(row["share"]) < 0.05 for row in found.rows[1:])

    def test_too_few(self, tmp_path):
        with pytest.raises(ValueError, match="at least 20 different points"):
            made.result(tmp_path, [made.record(0, 0.5)]).importance()
