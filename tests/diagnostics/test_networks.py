"""What is asked of trained networks again, from made predictions."""

from dataclasses import replace

import numpy as np
import pytest

from mtlkit.diagnostics import Evidence
from mtlkit.diagnostics._networks import of_networks

RARE = np.repeat([0, 1], [90, 10])
RIGHT = np.eye(2)[RARE]
SHY = np.where(RARE[:, None] == 1, [0.6, 0.4], [0.9, 0.1])
GUESS = np.full((100, 2), 0.5)
#: What the simple reference told.
GAINS = {"unit": "mean recall", "harder": None}
BEFORE = {
    "imbalance": Evidence(
        "imbalance", "unclear", "", 0.1, (0.05, 0.2), threshold=0.02, details=GAINS
    ),
    "uncertainty": Evidence("uncertainty", "absent", "", details={"entropy": {"epistemic": 0.3}}),
    "confusion": Evidence("confusion", "absent", "", details={"matrix": [[80, 10], [5, 5]]}),
}


def told(reference, user, before=BEFORE, **more):
    skills = {"reference_skill": 0.5, "user_skill": 0.2}
    classes = {"labels": RARE, "class_counts": [900, 100]}
    of_both = {"reference_probability": reference, "user_probability": user}
    gap = Evidence("model_gap", "found", "", details={**skills, **classes, **of_both, **more})
    return of_networks(0, {**before, "model_gap": gap})


def test_how_sure_the_users_model_is_whatever_it_is_worth():
    found = told(RIGHT, GUESS)["uncertainty"]
    assert found.details["of"] == "the model" and "all but a guess" in found.text
    assert found.details["entropy"]["total"] == pytest.approx(1)
    assert found.details["ensemble"] == {"epistemic": 0.3}


def test_the_better_network_tells_what_frequency_costs_if_that_was_open():
    assert told(SHY, RIGHT)["imbalance"].found
    assert told(RIGHT, SHY)["imbalance"].status == "absent"
    assert told(RIGHT, SHY, user_skill=0.6)["imbalance"].found
    alone = {"imbalance": replace(BEFORE["imbalance"], details={})}
    assert told(SHY, RIGHT, alone)["imbalance"].status == "unclear"
    settled = {"imbalance": replace(BEFORE["imbalance"], status="absent")}
    assert "imbalance" not in told(SHY, RIGHT, settled)


def test_the_better_network_tells_confusions_if_it_beats_the_simple_reference():
    found = told(RIGHT, SHY)["confusion"]
    assert found.details["matrix"].tolist() == [[90, 0], [0, 10]]
    assert found.text == "No class is taken for another by a reference network."
    one_wrong = RIGHT.copy()
    one_wrong[95] = [1, 0]
    text = told(GUESS, one_wrong, user_skill=0.6)["confusion"].text
    assert text == "Class 1 is taken for class 0 most often by the model, once."
    assert "confusion" not in told(np.eye(2)[1 - RARE], SHY)


def test_networks_that_tell_nothing():
    assert told(None, None) == {}
    assert told(RIGHT, RIGHT, class_counts=None) == {}
    # Of a head whose classes do not exclude each other, values are no such probabilities.
    assert told(2 * RIGHT, GUESS + 0.4) == {}
    assert of_networks(0, {"model_gap": Evidence("model_gap", "not_tested", "")}) == {}
