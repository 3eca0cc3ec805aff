import json

import numpy as np
import pytest
from diagnostics.made_images import bright_rows, flipped, reference

from mtlkit.diagnostics import Evidence, Reference
from mtlkit.diagnostics.data_probes import structured_noise, uniform_noise
from mtlkit.diagnostics.data_probes._suspects import in_users_rows, suspects


def clean_labels(num_classes=8, samples=2000):
    """The labels of `reference(...)` before any was flipped."""
    return bright_rows(samples, num_classes, faintest=0.0)[1]


def listed(probe, made):
    return probe(made.x, made.y, reference=made).details["suspects"]


@pytest.mark.parametrize(
    ("probe", "how", "rate", "num_classes"),
    [
        (uniform_noise, "any", 0.1, 8),
        (uniform_noise, "any", 0.3, 8),
        (uniform_noise, "any", 0.2, 3),
        (structured_noise, "opposite", 0.2, 8),
        (structured_noise, "next", 0.2, 8),
        (structured_noise, "next", 0.2, 4),
    ],
)
def test_most_suspects_are_wrong_and_look_like_what_they_are(probe, how, rate, num_classes):
    made, clean = reference(how, rate, num_classes), clean_labels(num_classes)
    found = listed(probe, made)
    rows = found["rows"]
    assert 0.04 * len(clean) < len(rows) <= min(300, found["expected"])
    assert len(set(rows)) == len(rows)
    precision = (made.y[rows] != clean[rows]).mean()  # half of these rows are hard to see
    assert precision > 0.9 > 3 * rate
    np.testing.assert_array_equal(found["given"], made.y[rows])
    assert (found["likeliest"] == clean[rows]).mean() > 0.85
    assert found["expected"] == pytest.approx(rate * len(clean), rel=0.3)


def test_the_first_are_the_surest():
    made, clean = reference("any", 0.2, 3), clean_labels(3)
    rows = listed(uniform_noise, made)["rows"]
    odds = made.probabilities[rows, made.predicted[rows]] / made.probabilities[rows, made.y[rows]]
    assert (np.diff(odds) <= 1e-3 * odds[:-1]).all()
    assert (made.y[rows[:50]] != clean[rows[:50]]).all()


@pytest.mark.parametrize(("how", "distance"), [("opposite", 4), ("next", 1)])
def test_exchanged_labels_look_like_the_certain_other_class(how, distance):
    found = listed(structured_noise, reference(how, 0.2))
    assert set((found["given"] - found["likeliest"]) % 8) == {distance}


@pytest.mark.parametrize("probe", [uniform_noise, structured_noise])
@pytest.mark.parametrize(
    "made", [("any", 0.0), ("any", 0.0, 3), ("twins",), ("blurred",), ("noise",)]
)
def test_labels_that_are_not_found_wrong_are_not_listed(probe, made):
    made = reference(*made)
    found = probe(made.x, made.y, reference=made)
    if found.status != "found":
        assert len(found.details["suspects"]["rows"]) == 0
        assert "images" not in found.details["suspects"]
    assert found.status != "found" or made.accuracy < 0.3  # labels that say nothing


def test_no_more_than_the_rate_and_only_candidates():
    made = reference("any", 0.2, 3)
    assert len(suspects(made, 0.01)["rows"]) == 20
    assert not len(suspects(made, 0.0)["rows"])
    even = np.arange(len(made)) % 2 == 0
    assert (suspects(made, 0.1, even)["rows"] % 2 == 0).all()


def test_classes_of_which_there_are_few_or_no_samples():
    x, clean = bright_rows(2000, 8)
    clean = np.where(clean == 7, 6, clean)
    y = flipped(clean, "any", 0.2, 7)
    made = Reference(x, y, num_classes=12)
    rows = suspects(made, 0.2)["rows"]
    assert len(rows) == 300 and (y[rows] != clean[rows]).mean() > 0.95


@pytest.mark.parametrize(("channels", "kept"), [(1, ()), (3, (3,)), (5, ())])
def test_images_are_small(channels, kept):
    x, clean = bright_rows(400, 8)
    y = flipped(clean, "any", 0.2)
    large = np.repeat(np.repeat(np.tile(x, channels), 8, axis=1), 8, axis=2)
    made = Reference(large, y)
    made.features = Reference(x, y).features  # those of large images take longer
    found = suspects(made, 0.2)
    assert found["images"].shape == (12, 32, 32, *kept)
    assert found["images"].min() >= 0 and found["images"].max() <= 1
    brightest = found["images"].reshape(12, 32, -1).mean(axis=2).argmax(axis=1) // 4
    assert (brightest == clean[found["rows"][:12]]).mean() > 0.9


def test_rows_as_the_user_numbers_them():
    made = reference("any", 0.2, 3)
    probed = uniform_noise(made.x, made.y, reference=made)
    theirs = 10 + 2 * np.arange(len(made))
    mapped = in_users_rows(probed, theirs)
    before, after = probed.details["suspects"], mapped.details["suspects"]
    np.testing.assert_array_equal(after["rows"], theirs[before["rows"]])
    np.testing.assert_array_equal(after["given"], before["given"])
    assert mapped.effect == probed.effect and mapped.details.keys() == probed.details.keys()
    assert json.loads(json.dumps(mapped.to_dict()))["details"]["suspects"]["rows"][0] >= 10


def test_evidence_without_suspects_stays_as_it_is():
    other = Evidence("signal", "found", "", details={"rows": [0]})
    assert in_users_rows(other, [5]) is other
    made = reference("any", 0.0)
    clean = uniform_noise(made.x, made.y, reference=made)
    assert not len(in_users_rows(clean, np.arange(9)).details["suspects"]["rows"])


def test_examples_are_numbered_as_the_user_does():
    seen = Evidence("symmetry", "found", "", details={"examples": [2, 0], "twins": []})
    assert in_users_rows(seen, [4, 6, 8]).details["examples"].tolist() == [8, 4]
