"""The Pareto front, against the definition of it."""

import made_searches as made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlkit.search._pareto import pareto_front

# Few different values, so that there are ties.
VALUES = st.integers(0, 4)


def brute_force(scores, costs, direction):
    """Nothing may be as good in everything and better in something."""

    def worth(number):
        sign = 1 if direction == "max" else -1
        known = [float("inf") if cost is None else cost for cost in costs[number]]
        return [sign * scores[number], *(-cost for cost in known)]

    front = []
    for own in range(len(scores)):
        beaten = False
        for other in range(len(scores)):
            pairs = list(zip(worth(other), worth(own), strict=True))
            if all(a >= b for a, b in pairs) and any(a > b for a, b in pairs):
                beaten = True
        front.append(not beaten)
    return front


@given(
    st.lists(st.tuples(VALUES, VALUES, st.none() | VALUES), max_size=12),
    st.sampled_from(["max", "min"]),
)
def test_equals_brute_force(trials, direction):
    scores, costs = [t[0] for t in trials], [t[1:] for t in trials]
    front = pareto_front(scores, costs, direction)
    assert front.tolist() == brute_force(scores, costs, direction)
    assert front.any() or not trials


def test_rows_of_a_search(tmp_path):
    records = [
        made.record(0, 0.9, parameters=100, step_ms=9.0),
        made.record(1, 0.8, parameters=100, step_ms=9.0),  # as dear as the first, and worse
        made.record(2, 0.7, parameters=10, step_ms=9.0),
        made.record(3, 0.6, parameters=50, step_ms=2.0),
        made.record(4, 0.99, parameters=1, step_ms=1.0, sacrificed=["identity"]),
        made.record(5, 0.65, parameters=60, step_ms=None),
        made.record(6, None, parameters=1, status="failed"),
        made.record(7, 0.6, parameters=50, step_ms=2.0, status="hopeless"),
    ]
    result = made.result(tmp_path, records)
    front = result.pareto()
    assert [row["trial"] for row in front] == ["0", "2", "3", "7"]
    assert all(row in result.leaderboard for row in front)
    assert [row["trial"] for row in result.pareto(["parameters"])] == ["0", "2"]
    assert [row["trial"] for row in result.pareto([])] == ["0"]
    assert str(front).splitlines()[0].startswith("rank")
    with pytest.raises(ValueError, match=r"costs out of .*'seconds'.*\['score'\]"):
        result.pareto(["score"])


def test_nothing_to_choose_from(tmp_path):
    assert made.result(tmp_path, [made.record(0)]).pareto() == []
