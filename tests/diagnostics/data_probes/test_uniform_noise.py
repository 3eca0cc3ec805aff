import numpy as np
import pytest
from diagnostics.made_images import reference

from mtlkit.diagnostics.data_probes import uniform_noise
from mtlkit.references import Reference


def of(made):
    return uniform_noise(made.x, made.y, reference=made)


@pytest.mark.parametrize("num_classes", [8, 3])
@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_planted_rates_are_found(rate, num_classes):
    found = of(reference("any", rate, num_classes))
    assert found.status == "found"
    assert found.effect == pytest.approx(rate, abs=0.05)
    low, high = found.interval
    assert low - 0.01 <= rate <= high + 0.01
    assert found.unit == "share of labels" and f"{100 * found.effect:.0f} %" in found.text


@pytest.mark.parametrize("num_classes", [8, 3])
def test_right_labels_are_not_noise(num_classes):
    found = of(reference("any", 0.0, num_classes))
    assert found.status == "absent" and found.effect < 0.01


def test_exchanged_labels_and_twins_are_not_noise():
    for made in (reference("opposite", 0.2), reference("next", 0.2), reference("twins")):
        found = of(made)
        assert found.status != "found" and found.effect < 0.03


def test_ranks_are_counted():
    found = of(reference("any", 0.3))
    counts = found.details["ranks"]
    assert counts.sum() == 2000 and counts[0] == reference("any", 0.3).correct.sum()
    assert counts[4:].min() > 30  # wrong labels have any rank


@pytest.mark.parametrize(("num_classes", "rate"), [(6, 0.4), (10, 0.2)])
def test_rates_are_exact_where_classes_are_easily_told_apart(rate, num_classes):
    rng = np.random.default_rng(3)
    clean = rng.integers(num_classes, size=4000)
    patterns = rng.normal(size=(num_classes, 12, 12, 1))
    x = 2 * patterns[clean] + rng.normal(size=(4000, 12, 12, 1))
    wrong = rng.permutation(4000) < rate * 4000
    y = np.where(wrong, (clean + rng.integers(1, num_classes, 4000)) % num_classes, clean)
    found = uniform_noise(x, y)
    assert found.effect == pytest.approx(rate, abs=0.015)


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_neighbours_know_most_classes_of_none(rate):
    """The scores of these classes are all 0, and a wrong label is mostly among them."""
    rng = np.random.default_rng(0)
    wrong = rng.random(2000) < rate
    clean = np.arange(2000) % 40
    y = np.where(wrong, (clean + rng.integers(1, 40, 2000)) % 40, clean)
    x = rng.normal(size=(40, 10))[clean] + rng.normal(size=(2000, 10))
    found = uniform_noise(x, y, reference=Reference(x, y, kind="neighbours"))
    assert found.effect == pytest.approx(wrong.mean(), abs=0.04)
    assert found.status == ("found" if rate else "absent")
