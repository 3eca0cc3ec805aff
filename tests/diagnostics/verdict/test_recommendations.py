import re

import numpy as np
import pytest

import mtlkit as mtl
from mtlkit.diagnostics import Cause, Evidence, Verdict
from mtlkit.diagnostics.causes import BY_CAUSE, RULES
from mtlkit.diagnostics.verdict._recommendations import recommend


def of(*causes):
    return Verdict("mixed", tuple(Cause(name) for name in causes), "")


def found(name, **details):
    return Evidence(name, "found", "", 0.3, (0.2, 0.4), details=details)


def one_for(cause, circular=None, **details):
    evidence = {
        cause: found(cause, **details),
        "confusion": found("confusion", matrix=np.eye(16)),
    }
    (one,) = recommend("pose", of(cause), evidence, circular=circular)
    assert not re.search(r"{\w+}", one.code)
    return one


def active(code):
    """The code without its comments."""
    return "\n".join(line.partition("#")[0] for line in code.splitlines())


def test_every_cause_has_a_remedy():
    assert all(rule.remedy.endswith(".") for rule in RULES)


@pytest.mark.parametrize("cause", BY_CAUSE)
def test_places_are_filled(cause):
    (one,) = recommend("pose", of(cause), {cause: found(cause, task="shade")}, circular=False)
    assert one.cause == cause and one.text == BY_CAUSE[cause].remedy
    assert not re.search(r"{\w+}", one.code)
    for place, name in (("{task}", "pose"), ("{other}", "shade")):
        assert (name in one.code) == (place in BY_CAUSE[cause].code)
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


@pytest.mark.parametrize(("transform", "period", "bins"), [("rot180", 180, 8), ("rot90", 90, 4)])
def test_turns_are_periods_of_orientations(transform, period, bins):
    head = f"mtl.heads.OrientationHead({bins}, period={period})"
    known = one_for("symmetry", True, transform=transform)
    assert head in active(known.code) and f"modulo {bins}" in known.code
    either = one_for("symmetry", transform=transform)
    assert f"# bins of a circle: head = {head}" in either.code
    assert "OrientationHead" not in active(either.code) and "bins of a circle" in either.text
    other = one_for("symmetry", False, transform=transform)
    assert "Orientation" not in other.code and "period" not in other.code + other.text


@pytest.mark.parametrize("circular", [True, False, None])
@pytest.mark.parametrize("transform", ["flip_horizontal", "flip_vertical"])
def test_flips_have_no_period(transform, circular):
    one = one_for("symmetry", circular, transform=transform)
    assert "period" not in one.code + one.text and "Orientation" not in one.code


def test_neighbours_that_overlap():
    known = one_for("class_overlap", True)
    assert 'OrientationHead(16, target="smooth")' in active(known.code)
    either, other = one_for("class_overlap"), one_for("class_overlap", False)
    assert "OrientationHead" not in active(either.code) and "bins of a circle" in either.text
    assert 'OrientationHead(16, target="smooth")' in either.code
    assert "Orientation" not in other.code and "circle" not in other.text


@pytest.mark.parametrize("circular", [True, False, None])
@pytest.mark.parametrize(
    ("cause", "details", "classes"),
    [
        ("symmetry", {"transform": "rot180", "groups": np.arange(16) % 8}, 8),
        ("symmetry", {"transform": "rot90", "groups": np.arange(16) % 4}, 4),
        ("symmetry", {"transform": "flip_vertical", "groups": [0, 1, 1, 0] + [4, 5, 5, 4] * 3}, 4),
        ("class_overlap", {}, None),
    ],
)
def test_the_code_runs(cause, details, classes, circular):
    one = one_for(cause, circular, **details)
    diagnosis = mtl.diagnostics.Diagnosis("pose", of(cause), {cause: found(cause, **details)})
    head = mtl.heads.ClassificationHead(16)
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone((8, 8, 1), (4,)), [mtl.Task("pose", head)]
    )
    names = {"mtl": mtl, "np": np, "found": diagnosis, "model": model}
    names["labels"] = np.arange(-1, 16)
    exec(one.code, names)
    outputs = names["model"].output["pose"].shape[-1]
    assert outputs == (classes or (16 if circular else 8))
    if "labels =" in active(one.code):
        assert names["labels"][0] == -1  # still unlabelled
        assert set(names["labels"][1:]) == set(range(outputs))


@pytest.mark.parametrize("cause", ["uniform_noise", "structured_noise"])
def test_the_listed_samples_are_checked(cause):
    listed = {"rows": np.array([5, 2])}
    diagnosis = mtl.diagnostics.Diagnosis("pose", of(cause), {cause: found(cause, suspects=listed)})
    names = {"found": diagnosis, "x": np.arange(9)}
    exec(one_for(cause).code, names)
    assert names["images"].tolist() == [5, 2]


@pytest.mark.parametrize(
    ("pairs", "named"),
    [
        ([[0, 8, 0.5], [3, 11, 0.4]], ["symmetry"]),
        ([], ["symmetry"]),
        ([[0, 1, 0.5], [3, 4, 0.4], [0, 8, 0.1]], ["ambiguity", "symmetry"]),
    ],
)
def test_twins_of_a_symmetry_are_no_hierarchy(pairs, named):
    evidence = {
        "symmetry": found("symmetry", transform="rot180", groups=np.arange(16) % 8),
        "ambiguity": found("ambiguity", pairs=pairs),
    }
    causes = recommend("pose", of("symmetry", "ambiguity"), evidence)
    assert sorted(one.cause for one in causes) == named
    (alone,) = recommend("pose", of("ambiguity"), evidence)
    assert "HierarchicalHead" in alone.code


def test_a_keras_model_is_adopted_first():
    evidence = {"head_destroys_space": Evidence("head_destroys_space", "found", "", 0.5)}
    verdict = Verdict("model", (Cause("head_destroys_space", 0.5),), "")
    (own,) = recommend("pose", verdict, evidence)
    (adopted,) = recommend("pose", verdict, evidence, adopted=True)
    assert adopted.code == f"model = mtl.MultiTaskModel.from_keras(model)\n{own.code}"
