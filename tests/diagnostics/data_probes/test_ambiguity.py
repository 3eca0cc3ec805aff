import pytest
from diagnostics.made_images import reference

from mtlkit.diagnostics.data_probes import ambiguity


def of(made):
    return ambiguity(made.x, made.y, reference=made)


def test_twins_are_found():
    found = of(reference("twins"))
    assert found.status == "found" and found.details["distance"] == 4
    assert found.effect == pytest.approx(0.5, abs=0.05)  # merged, all of them would be right
    assert found.interval[0] < found.effect < found.interval[1]
    assert found.details["or_flipped"]
    assert {(label, partner) for label, partner, _ in found.details["pairs"]} <= {
        (k, (k + 4) % 8) for k in range(8)
    }


def test_a_fifth_of_flipped_labels_is_not_ambiguity():
    found = of(reference("opposite", 0.2))
    assert found.status == "absent" and not found.details["or_flipped"]
    assert found.effect == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("made", [("any", 0.0), ("any", 0.3), ("blurred",)])
def test_other_labels_are_not_ambiguous(made):
    assert of(reference(*made)).status != "found"


def test_neighbours_are_left_to_the_overlap():
    found = of(reference("next", 0.2))
    assert found.status == "absent" and "neighbours" in found.text
