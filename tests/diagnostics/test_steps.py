import logging
import time
import warnings

import numpy as np
import pytest

from mtlkit.diagnostics import Evidence
from mtlkit.diagnostics._kept import KeptEvidence, fingerprint
from mtlkit.diagnostics._steps import Steps

PLAN = [("a",), ("b", "c"), ("d",)]


def evidence(name, status="absent", **details):
    return Evidence(name, status, "Text.", 0.1, (0.0, 0.2), details=details)


def steps(directory=None, of=None, **options):
    kept = KeptEvidence(directory, of or {"x": "1"})
    return Steps(kept, PLAN, time.process_time(), **{"verbose": 0, **options})


def never():
    raise AssertionError("This was kept.")


def test_what_was_found_is_found_again(tmp_path):
    details = {
        "rows": np.arange(3.0) / 7,
        "labels": np.array([1, 2]),
        "pairs": [("x", 1), (2.5, None)],
        "by_class": {0: np.float32(0.1), (1, 2): "b"},
        "flags": np.array([True, False]),
    }
    steps(tmp_path / "new").run(["a"], lambda: evidence("a", **details))
    again = steps(tmp_path / "new")
    (found,) = again.run(["a"], never)
    assert found.effect == 0.1 and found.interval == (0.0, 0.2)
    for name in ("rows", "labels", "flags"):
        np.testing.assert_array_equal(found.details[name], details[name])
        assert found.details[name].dtype == details[name].dtype
    assert found.details["pairs"] == details["pairs"]
    assert found.details["by_class"] == {0: pytest.approx(0.1), (1, 2): "b"}


def test_the_evidence_of_another_question_is_refused(tmp_path):
    steps(tmp_path).run(["a"], lambda: evidence("a"))
    with pytest.raises(ValueError, match=r"(?s)another x\n.*another directory, or delete"):
        steps(tmp_path, of={"x": "2"})


def test_no_directory_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps().run(["a"], lambda: evidence("a"))
    assert not list(tmp_path.iterdir())


def test_seconds_that_were_spent_before_count(tmp_path):
    steps(tmp_path).kept.keep(Evidence("a", "absent", "", seconds=30.0))
    again = steps(tmp_path, budget=100)
    assert 30 <= again.spent < 31 and 69 < again.left <= 70


def test_what_was_left_out_is_not_kept(tmp_path):
    one = steps(tmp_path)
    one.missed(evidence("d", "not_tested"))
    one.run(["a"], lambda: evidence("a"))
    assert set(one.evidence) == {"a", "d"}
    assert set(steps(tmp_path).evidence) == {"a"}


def test_progress(capsys):
    one = steps(verbose=1, budget=600.0)
    one.run(["a"], lambda: evidence("a"))
    one.run(["b", "c"], lambda: (evidence("b", "found"), evidence("c", "not_tested")))
    one.skip("It needs 15 CPU-seconds.", evidence("d", "not_tested"))
    first, second, third = capsys.readouterr().out.splitlines()
    assert third.endswith("left] d: left out. It needs 15 CPU-seconds.")
    assert first.startswith("[ 1/3, 0 % of the budget, 10 min left] a ... absent (")
    assert "[ 2/3" in second and "b, c ... found, not tested: Text (" in second


def test_interrupted(capsys):
    one, setup = steps(verbose=1), {}

    def interrupt():
        raise KeyboardInterrupt

    with one.until_interrupted(setup):
        one.run(["a"], lambda: evidence("a"))
        one.run(["b", "c"], interrupt)
    assert setup == {"interrupted": True}
    assert {name: found.status for name, found in one.evidence.items()} == {
        "a": "absent",
        **dict.fromkeys("bcd", "not_tested"),
    }
    assert "Interrupted: 1 of 3" in capsys.readouterr().out


def test_a_step_is_run_again():
    one = steps()
    one.run(["b", "c"], lambda: (evidence("b", "unclear"), evidence("c")))
    one.run(["b", "c"], lambda: (evidence("b", "found"), evidence("c")), again=True)
    assert one.evidence["b"].found and one.total == 4


def test_what_was_found_before_survives_an_interruption():
    one = steps()
    one.run(["a"], lambda: evidence("a", "unclear"))

    def interrupt():
        raise KeyboardInterrupt

    with one.until_interrupted({}):
        one.run(["a"], interrupt, again=True)
    assert one.evidence["a"].status == "unclear"


def test_backends_are_silent_and_users_are_not():
    def noisy():
        logging.getLogger("tensorflow").warning("5 out of the last 5 calls")
        warnings.warn_explicit("of the graph", UserWarning, "functional.py", 1, "keras.src.models")
        warnings.warn("of the data", stacklevel=1)
        return evidence("a")

    level = logging.getLogger("tensorflow").level
    with pytest.warns(UserWarning) as said:
        steps().run(["a"], noisy)
    assert [str(one.message) for one in said] == ["of the data"]
    assert logging.getLogger("tensorflow").level == level


def test_fingerprints():
    x = np.arange(6.0)
    assert fingerprint(x, {"a": "b"}) == fingerprint(x.copy(), {"a": "b"})
    others = (x + 1e-9, x.astype("float32"), x.reshape(2, 3), [x[:3], x[3:]], {"x": x}, None)
    made = [fingerprint(one) for one in (x, *others)]
    assert len(set(made)) == len(made)
    assert fingerprint(np.array(["a", None], object)) != fingerprint(np.array(["a", "b"], object))
