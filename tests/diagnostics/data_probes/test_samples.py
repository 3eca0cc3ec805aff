"""What every probe says of data on which nothing can be measured."""

import numpy as np
import pytest

from mtlkit.diagnostics import Reference
from mtlkit.diagnostics.data_probes import (
    alignment,
    duplicates,
    imbalance,
    label_leak,
    needs_context,
    resolution,
    skill_of_tasks,
    splits,
    symmetry,
    uncertainty,
)
from mtlkit.diagnostics.data_probes._samples import small_images, unit_vectors

RNG = np.random.default_rng(0)
X = RNG.random((80, 12, 12, 1), dtype="float32")
Y = np.arange(80) % 4
PROBES = {
    "alignment": alignment,
    "symmetry": symmetry,
    "needs_context": lambda x, y, **given: needs_context(x, y, {"other": Y[: len(x)]}, **given),
    "imbalance": imbalance,
    "resolution": resolution,
    "uncertainty": uncertainty,
    "skill": lambda x, y, **given: skill_of_tasks(x, {"y": y}, **given),
}


@pytest.fixture(params=PROBES, name="probe")
def every_probe(request):
    return PROBES[request.param]


@pytest.mark.parametrize(
    ("x", "y", "why"),
    [
        (X, np.zeros(80, int), "one class"),
        (X[:20], Y[:20], "too few"),
        (X, np.arange(80) * 2, "fewer samples"),
        (np.ones_like(X), Y, "All images are the same"),
    ],
)
def test_nothing_to_measure_is_said(probe, x, y, why):
    found = probe(x, y)
    assert found.status == "not_tested" and why in found.text


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.where(np.arange(80)[:, None, None, None] == 3, np.nan, X), Y, "finite"),
        (X[:, 0, 0, 0], Y, "to be numbers: images"),
        (X, Y[:-1], "one label for each"),
        (X, np.where(Y == 0, -1, Y), "label for every sample"),
        (X, np.where(Y == 0, np.nan, Y), "label for every sample"),
        (X, np.array(["a", "b"] * 40), "integer classes"),
    ],
)
def test_bad_input_is_named(probe, x, y, message):
    with pytest.raises(ValueError, match=message):
        probe(x, y)


def test_reference_of_other_images_is_refused(probe):
    with pytest.raises(ValueError, match="a reference of the same"):
        probe(X, Y, reference=Reference(X[:60], Y[:60]))


def test_every_probe_takes_colour_and_writes_its_cost(probe):
    found = probe(np.repeat(X, 3, axis=3), Y)
    assert found.status != "not_tested" and found.seconds > 0
    assert found.to_dict()["name"] == found.name


def test_reference_is_shared(probe):
    reference = Reference(X, Y)
    reference.features = np.asarray(X.reshape(80, -1) - X.mean(axis=0).reshape(1, -1))
    assert probe(X, Y, reference=reference).status != "not_tested"


@pytest.mark.parametrize("name", ["symmetry", "needs_context", "imbalance", "uncertainty"])
def test_values_are_left_to_other_probes(name):
    assert "needs classes" in PROBES[name](X, Y.astype("float32")).text


def test_integrity_of_few_or_equal_images():
    few = splits(X[:3], Y[:3], X[3:5], Y[3:5])
    assert few.effect == 0
    assert duplicates(np.ones_like(X), Y).effect == 0
    assert splits(np.ones_like(X), Y, np.ones_like(X), Y).effect == 0
    assert label_leak(np.zeros(80, int), {"other": Y}).status == "not_tested"
    assert label_leak(Y, {"value": Y.astype("float32")}).status == "not_tested"
    with pytest.raises(ValueError, match="one shape"):
        splits(X, Y, X[:, :6], Y)


def test_small_images_keep_turns():
    images = RNG.random((3, 28, 28, 1), dtype="float32")
    small = small_images(images)
    assert small.shape == (3, 14, 14)
    turned = small_images(np.rot90(images, axes=(1, 2)))
    assert np.allclose(turned, np.rot90(small, axes=(1, 2)), atol=1e-6)


def test_unit_vectors_forget_brightness_and_contrast():
    assert np.allclose(unit_vectors(3 * X + 1), unit_vectors(X), atol=1e-5)
    assert np.allclose(np.linalg.norm(unit_vectors(X), axis=1), 1, atol=1e-5)
