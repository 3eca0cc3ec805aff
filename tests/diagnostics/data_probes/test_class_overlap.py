import sys

import numpy as np
import pytest
from diagnostics.made_images import reference

from mtlkit.diagnostics.data_probes import class_overlap, structured_noise


def of(made):
    return class_overlap(made.x, made.y, reference=made)


def test_labels_that_reach_into_both_neighbours_are_found():
    made = reference("blurred")
    found = of(made)
    assert found.status == "found"
    off = (made.y - made.predicted) % 8
    assert np.isin(off, [0, 1, 7]).mean() > 0.9  # it is neighbours that are mixed up
    either = [(off == side).sum() / np.isin(off, [0, side]).sum() for side in (1, 7)]
    assert found.effect == pytest.approx(np.mean(either), abs=0.1)
    assert found.interval[0] < found.effect < found.interval[1]
    assert set(found.details) == {"ladder", "other_side", "or_flipped"}
    assert not found.details["or_flipped"]


def test_overlap_that_may_as_well_be_flips_is_asserted_by_nobody(monkeypatch):
    """Were it less than what overlaps for certain."""
    module = sys.modules["mtlkit.diagnostics.data_probes._structured_noise"]
    monkeypatch.setattr(module, "UNTOLD", 0.51)
    made = reference("blurred")
    for found in (of(made), structured_noise(made.x, made.y, reference=made)):
        assert found.status == "unclear" and "mixed alike" in found.text
    assert of(made).details["or_flipped"]


@pytest.mark.parametrize(
    "made", [("any", 0.0), ("next", 0.2), ("opposite", 0.2), ("any", 0.3), ("twins",), ("noise",)]
)
def test_other_labels_do_not_overlap(made):
    assert of(reference(*made)).status == "absent"


def test_a_reference_that_still_learns_to_tell_neighbours_apart_asserts_nothing():
    """Its mistakes are neighbours, but fewer with each sample."""
    made = reference("blurred")
    assert of(made).found
    half = made.smaller
    half.predicted = (half.y + 4) % 8  # as if it had known nothing with half of the samples
    found = of(made)
    assert found.status == "unclear" and "may still learn to tell neighbours apart" in found.text
