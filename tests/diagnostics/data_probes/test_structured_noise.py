import numpy as np
import pytest
from diagnostics.made_images import reference
from sklearn.datasets import load_digits

from mtlkit.diagnostics import Reference
from mtlkit.diagnostics.data_probes import structured_noise


def of(made):
    return structured_noise(made.x, made.y, reference=made)


@pytest.mark.parametrize(("how", "distance"), [("opposite", 4), ("next", 1)])
def test_exchanged_labels_are_found(how, distance):
    found = of(reference(how, 0.2))
    assert found.status == "found" and found.details["distance"] == distance
    assert found.effect == pytest.approx(0.2, abs=0.05)
    assert found.interval[0] - 0.01 <= 0.2 <= found.interval[1] + 0.01


def test_the_pairs_are_told():
    pairs = of(reference("opposite", 0.2)).details["pairs"]
    assert {(label, partner) for label, partner, _ in pairs} == {(k, (k + 4) % 8) for k in range(8)}
    shares = [share for *_, share in pairs]
    assert shares == sorted(shares, reverse=True) and 0.1 < min(shares) < max(shares) < 0.3


@pytest.mark.parametrize("made", [("any", 0.0), ("any", 0.2), ("noise",)])
def test_other_labels_are_not_exchanged(made):
    assert of(reference(*made)).status != "found"


def test_a_kind_that_the_inputs_do_not_show_may_be_no_wrong_label():
    """A quarter of two classes are of a kind of their own, which looks like the rest."""
    rng = np.random.default_rng(0)
    seen, hidden = rng.integers(6, size=3000), rng.random(3000) < 0.25
    y = np.where(hidden & (seen == 0), 6, np.where(hidden & (seen == 3), 7, seen))
    x = (3 * np.eye(6)[seen] + rng.normal(size=(3000, 6))).astype("float32")
    made = Reference(x, y)
    assert made.accuracy > 0.8 and not np.isin(made.predicted, (6, 7)).any()
    assert of(made).status != "found"


def test_of_twins_the_rate_is_unknown():
    found = of(reference("twins"))
    assert found.status == "unclear" and "tell the partners apart" in found.text
    assert found.interval[1] - found.interval[0] > 0.3


def test_both_neighbours_are_an_overlap():
    found = of(reference("blurred"))
    assert found.status == "absent" and "overlap" in found.text


def test_few_samples_tell_nothing():
    assert of(reference("opposite", 0.2, 8, 300)).status != "found"


@pytest.mark.parametrize("classes", [2, 3, 4, 6])
def test_noise_spreads_over_few_classes(classes):
    assert of(reference("any", 0.3, classes)).status != "found"


def test_few_classes_that_were_exchanged():
    found = of(reference("next", 0.2, 4))
    assert found.status == "found" and found.effect == pytest.approx(0.2, abs=0.06)


PAIRS = ((3, 8), (1, 7), (4, 6), (0, 2), (5, 9))


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.3])
def test_pairs_at_no_common_distance(rate):
    """Scanned digits, some of which were taken for the one that they are often taken for."""
    x, clean = load_digits(return_X_y=True)
    x = np.pad(x.reshape(-1, 8, 8, 1).astype("float32") / 16, ((0, 0), (2, 2), (2, 2), (0, 0)))
    partner = np.empty(10, int)
    for one, other in PAIRS:
        partner[[one, other]] = other, one
    y = np.where(np.random.default_rng(0).random(len(clean)) < rate, partner[clean], clean)
    found = structured_noise(x, y)
    assert found.found == (rate > 0)
    assert found.effect == pytest.approx(np.mean(y != clean), abs=0.03)
    if rate:
        told = {(int(one), int(other)) for one, other, _ in found.details["pairs"]}
        assert told == {pair for one in PAIRS for pair in (one, one[::-1])}
