import numpy as np
import pytest
from diagnostics.made_images import reference

from mtlkit.diagnostics import Evidence
from mtlkit.diagnostics._power import PLANTS, mixed_by, with_power, within_interval
from mtlkit.diagnostics.data_probes import uniform_noise


def of(made):
    return uniform_noise(made.x, made.y, reference=made)


def test_what_would_have_been_seen_is_absent():
    made = reference("any", 0.0)
    found = with_power(of(made), of, made, 0)
    assert found.status == "absent" and found.details["planted"] > found.effect


def test_a_probe_that_sees_nothing_has_tested_nothing():
    made = reference("any", 0.0)
    blind = Evidence("uniform_noise", "absent", "None.", 0.0, (0.0, 0.01), threshold=0.04)
    found = with_power(blind, lambda _: blind, made, 0)
    assert found.status == "not_tested" and "was not noticed" in found.text
    assert found.details["without_power"]


def test_what_was_found_and_what_cannot_be_planted_stay():
    made = reference("any", 0.0)
    for one in (
        Evidence("uniform_noise", "found", "", 0.2, (0.1, 0.3), threshold=0.04),
        Evidence("duplicates", "absent", "", threshold=0.1),
        Evidence("ambiguity", "absent", "Of other labels."),
    ):
        assert with_power(one, of, made, 0) is one


def test_an_interval_that_reaches_the_threshold_rules_nothing_out():
    wide = Evidence("symmetry", "absent", "No twins.", 0.01, (0.0, 0.07), threshold=0.05)
    found = within_interval(wide)
    assert found.status == "not_tested" and found.details["without_power"]
    assert found.text == "No twins; up to 0.07 would not have been noticed."
    for one in (
        Evidence("symmetry", "absent", "No twins.", 0.01, (0.0, 0.04), threshold=0.05),
        Evidence("symmetry", "absent", "No twins."),
        Evidence("symmetry", "unclear", "Twins?", 0.01, (0.0, 0.07), threshold=0.05),
        Evidence("duplicates", "absent", "No cause.", 0.01, (0.0, 0.07), threshold=0.05),
    ):
        assert within_interval(one) is one


@pytest.mark.parametrize("size", [0.05, 0.3])
def test_as_much_is_planted_as_is_said(size):
    y = np.arange(10_000) % 10
    rng = np.random.default_rng(0)
    replaced = PLANTS["uniform_noise"](y, 10, size, rng)
    assert (replaced != y).mean() == pytest.approx(size, abs=0.02)
    exchanged = PLANTS["structured_noise"](y, 10, size, rng)
    assert (exchanged != y).mean() == pytest.approx(size, abs=0.02)
    assert all(len(np.unique(exchanged[y == one])) == 2 for one in range(10))
    mixed = PLANTS["ambiguity"](y, 10, size, rng)
    assert (mixed != y).mean() == pytest.approx(size, abs=0.06)
    counts = np.bincount(y * 10 + mixed, minlength=100).reshape(10, 10)
    assert ((counts > 0).sum(axis=1) <= 2).all()


def test_a_lot_between_two_classes_is_planted():
    y, lot = np.arange(4000) % 8, np.random.default_rng(1).integers(2, size=4000)
    planted = mixed_by(lot)(y, 8, 0.1, np.random.default_rng(0))
    changed = planted != y
    # As many labels change as a guess without the lot gets wrong in these classes.
    assert changed.mean() == pytest.approx(0.125, abs=0.02)
    for one in np.unique(planted[changed]):
        assert len(np.unique(lot[planted == one])) == 1  # the lot says which of the two it is
