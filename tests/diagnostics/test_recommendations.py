import re

import pytest

from mtlkit.diagnostics import Cause, Evidence, Verdict
from mtlkit.diagnostics.recommendations import REMEDIES, recommend
from mtlkit.diagnostics.rules import RULES


def of(*causes):
    return Verdict("mixed", tuple(Cause(name) for name in causes), "")


def found(name, **details):
    return Evidence(name, "found", "", 0.3, (0.2, 0.4), details=details)


def test_every_cause_has_a_remedy():
    assert set(REMEDIES) == {rule.cause for rule in RULES}
    assert all(remedy.text.endswith(".") for remedy in REMEDIES.values())


@pytest.mark.parametrize("cause", REMEDIES)
def test_places_are_filled(cause):
    (one,) = recommend("pose", of(cause), {cause: found(cause, task="shade")})
    assert one.cause == cause and one.text == REMEDIES[cause].text
    assert not re.search(r"{\w+}", one.code)
    for place, name in (("{task}", "pose"), ("{other}", "shade")):
        assert (name in one.code) == (place in REMEDIES[cause].code)
    compile(one.code, cause, "exec")  # it is Python


def test_what_was_measured_is_taken():
    evidence = {
        "symmetry": found("symmetry", gain=0.2, gain_interval=(0.1, 0.3)),
        "input_scale": found("input_scale", gain=0.4, code='better("{task}")'),
        "optimizer": found("optimizer"),
    }
    first, second, third = recommend("pose", of(*reversed(evidence)), evidence)
    assert (first.cause, first.gain, first.code) == ("input_scale", 0.4, 'better("pose")')
    assert (second.cause, second.gain, second.interval) == ("symmetry", 0.2, (0.1, 0.3))
    assert third.cause == "optimizer" and third.gain is third.interval is None


def test_nothing_is_recommended_without_a_cause():
    assert recommend("pose", of(), {"symmetry": found("symmetry")}) == ()


def test_a_cause_without_evidence_of_its_own():
    (one,) = recommend("pose", of("no_signal"), {})
    assert one.cause == "no_signal" and one.gain is None
