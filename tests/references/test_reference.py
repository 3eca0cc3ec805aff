import numpy as np
import pytest
from diagnostics.made_images import bright_rows
from scipy.stats import binomtest

from mtlkit.diagnostics import Reference


@pytest.fixture(scope="module")
def reference():
    return Reference(*bright_rows(400, 4))


def test_it_learns_what_can_be_seen(reference):
    assert reference.classes and reference.num_classes == 4 and len(reference) == 400
    assert reference.chance == 0.25 and reference.accuracy > 0.95
    assert reference.scores.shape == (400, 4)
    np.testing.assert_array_equal(reference.correct, reference.scores.argmax(1) == reference.y)
    np.testing.assert_allclose(reference.probabilities.sum(axis=1), 1, atol=1e-5)


def test_nothing_is_learned_by_heart(reference):
    """With more features than samples it could: but predictions are for left-out samples."""
    y = np.random.default_rng(5).integers(4, size=400)
    other = reference.with_labels(y)
    assert other.features.shape[1] > 400
    assert binomtest(int(other.correct.sum()), 400, 0.25).pvalue > 0.01


def test_features_are_shared_with_other_labels(reference):
    other = reference.with_labels(reference.y // 2)
    assert other.num_classes == 2 and other.accuracy > 0.95
    assert other.features is reference.features and other.ridge is reference.ridge
    assert reference.with_labels(reference.y // 2, 3).num_classes == 3


def test_values(reference):
    y = reference.y + 0.5
    values = reference.with_labels(y)
    assert not values.classes and values.num_classes == 0
    assert values.scores.shape == (400, 1)
    assert np.corrcoef(values.scores[:, 0], y)[0, 1] > 0.9


def test_half_of_the_samples(reference):
    smaller = reference.smaller
    assert len(smaller) == 200 and smaller.num_classes == 4
    rows = [int(np.flatnonzero((reference.x == image).all((1, 2, 3)))[0]) for image in smaller.x]
    assert len(set(rows)) == 200
    np.testing.assert_array_equal(smaller.y, reference.y[rows])
    np.testing.assert_array_equal(smaller.features, reference.features[rows])


def test_determined_by_the_seed(reference):
    again = Reference(reference.x, reference.y)
    np.testing.assert_array_equal(again.scores, reference.scores)


def test_classes_that_do_not_occur():
    x, y = bright_rows(100, 3)
    assert Reference(x, y, num_classes=5).scores.shape == (100, 5)
