import math

import numpy as np
import pytest
from diagnostics.made_images import bright_rows

from mtlkit.diagnostics import Evidence, Reference, decide
from mtlkit.diagnostics.data_probes import structured_noise
from mtlkit.diagnostics.data_probes._single_pairs import Exchanged, exchanged_classes, of_all_labels
from mtlkit.references._partners import Floor

X, CLEAN = bright_rows(4000)
SWAPPED = np.array([0, 4, 6, 3, 1, 5, 2, 7])[CLEAN]


def exchanged(rate):
    return np.where(np.random.default_rng(1).random(4000) < rate, SWAPPED, CLEAN)


def test_two_pairs_of_eight_classes_are_found_at_their_rate():
    y = exchanged(0.25)
    found = structured_noise(X, y)
    assert found.status == "found" and found.effect == pytest.approx(np.mean(y != CLEAN), abs=0.04)
    told = {(one, other) for one, other, _ in found.details["pairs"]}
    assert told <= {(1, 4), (4, 1), (2, 6), (6, 2)} and len(told) >= 3
    rows = found.details["suspects"]["rows"]
    assert (y != CLEAN)[rows].mean() > 0.9


@pytest.mark.parametrize("rate", [0.0, 0.05])
def test_no_pair_or_too_few_labels_are_none(rate):
    assert structured_noise(X, exchanged(rate)).status == "absent"


def test_labels_wrong_by_chance_are_no_pairs():
    rng = np.random.default_rng(2)
    y = np.where(rng.random(4000) < 0.3, rng.integers(8, size=4000), CLEAN)
    assert not exchanged_classes(Reference(X, y))


@pytest.mark.parametrize(("classes", "noise"), [(6, 0.6), (8, 0.3), (12, 0.6)])
def test_steps_of_something_continuous_are_no_pairs(classes, noise):
    """A linear reference knows the ends of the scale, and takes what is near for them."""
    rng = np.random.default_rng(4)
    level = rng.random(4000)
    x = level[:, None, None, None] + noise * rng.normal(size=(4000, 8, 8, 1))
    y = (classes * level).astype("int64")
    reference = Reference(x, y)
    assert np.mean(reference.predicted == 0) > 1.8 * np.mean(y == 0)
    assert not exchanged_classes(reference)
    assert structured_noise(x, y, reference=reference).status == "absent"


def test_of_a_pair_that_images_do_not_tell_nothing_is_asserted():
    """Rows 2 and 6 are given one of two labels at random: twins, or half of them flipped."""
    y = np.where(np.isin(CLEAN, (2, 6)), np.random.default_rng(3).choice([2, 6], 4000), CLEAN)
    found = structured_noise(X, y)
    assert found.status == "unclear" and found.interval[1] > 0.05
    given = decide({"signal": Evidence("signal", "found", ""), "structured_noise": found})
    assert given.limit == "undetermined"
    assert set(given.undetermined) == {"structured_noise", "ambiguity"}


def test_errors_of_classes_add_up_as_squares():
    floor = Floor(0.2, 0.1, 0.3, 1.0)
    whole = of_all_labels([Exchanged(0, 1, floor, 0.3), Exchanged(1, 0, floor, 0.4)])
    assert whole.rate == pytest.approx(0.14)
    assert whole.low == pytest.approx(0.14 - math.sqrt(0.03**2 + 0.04**2))
    assert whole.high == pytest.approx(0.14 + 0.05)
    assert of_all_labels([]).rate == of_all_labels([]).high == 0
