import numpy as np
import pytest
from diagnostics.made_images import bright_rows, reference

from mtlkit.diagnostics import Reference
from mtlkit.diagnostics.data_probes import amount


def of(made):
    return amount(made.x, made.y, reference=made)


def sums(samples):
    """Images with a bright row and a bright column; the class is the sum of their numbers."""
    rng = np.random.default_rng(0)
    row, column = rng.integers(5, size=(2, samples))
    x = rng.random((samples, 8, 8, 1), dtype="float32")
    x[np.arange(samples), row] += 0.6
    x[np.arange(samples), :, column] += 0.6
    return Reference(x, (row + column) % 5)


@pytest.fixture(scope="module")
def hungry():
    """Sums, which take many samples to be learned."""
    return of(sums(400))


def test_what_is_learned_from_an_eighth_needs_no_more():
    found = of(Reference(*bright_rows(800)))
    assert found.status == "absent" and found.effect < 0.01
    assert found.details["samples"] == [100, 200, 400, 800]
    assert min(found.details["scores"]) > 0.9


def test_noise_is_not_learned_from_twice_as_much():
    found = of(reference("noise"))
    assert found.status == "absent" and abs(found.effect) < 0.03


def test_too_few_samples_are_found(hungry):
    assert hungry.status == "found" and hungry.interval[0] > hungry.threshold
    assert 1 / 5 < hungry.details["scores"][-1] < 0.6


def test_the_gain_follows_a_power_law(hungry):
    half, whole = (1 - score for score in hungry.details["scores"][-2:])
    power = np.log2(half / whole)  # e(n) = a n^-b
    expected = whole - whole * 2.0**-power
    assert hungry.effect == pytest.approx(expected) == hungry.details["doubling_gain"]
    low, high = hungry.interval
    assert low < hungry.effect < high


def test_more_samples_bring_about_what_was_foretold(hungry):
    more = of(sums(800))
    gained = more.details["scores"][-1] - hungry.details["scores"][-1]
    assert gained > hungry.threshold


def test_determined_by_the_seed(hungry):
    again = of(sums(400))
    assert again.interval == hungry.interval
    assert again.details["scores"] == hungry.details["scores"]


def test_a_constant_that_is_often_right_is_no_part_of_the_way():
    rng = np.random.default_rng(0)
    y = np.where(rng.random(400) < 0.7, 0, rng.integers(5, size=400))
    found = of(Reference(rng.random((400, 8, 8, 1), dtype="float32"), y))
    assert found.details["scores"][-1] > 0.6
    assert found.details["way_from_constant"] < 0.1
