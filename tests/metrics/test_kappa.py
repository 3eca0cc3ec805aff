"""QuadraticKappa: agreement of ordered classes."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from mtlkit.metrics import MaskedMetric, QuadraticKappa

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30)


def kappa(true, found, weights=None, batches=1):
    metric = QuadraticKappa(4)
    for part in np.array_split(np.arange(len(true)), batches):
        given_weights = None if weights is None else weights[part]
        metric.update_state(true[part], np.eye(4)[found[part]], sample_weight=given_weights)
    return float(metric.result())


@given(pairs=PAIRS)
def test_as_in_scikit_learn(pairs):
    true, found = np.array(pairs).T
    assume(len(np.unique(np.concatenate([true, found]))) > 1)
    expected = cohen_kappa_score(true, found, weights="quadratic", labels=range(4))
    assert kappa(true, found) == pytest.approx(expected, abs=1e-5)
    assert kappa(true, found, batches=2) == pytest.approx(expected, abs=1e-5)


def test_weights_count_as_repetitions():
    true, found = np.array([0, 1, 2, 3, 3]), np.array([0, 2, 2, 1, 3])
    weights = np.array([2, 1, 1, 3, 1])
    expected = cohen_kappa_score(
        np.repeat(true, weights), np.repeat(found, weights), weights="quadratic"
    )
    assert kappa(true, found, weights) == pytest.approx(expected, abs=1e-6)


def test_limits():
    all_four = np.arange(4)
    assert kappa(all_four, all_four) == 1
    assert kappa(all_four, all_four[::-1]) == pytest.approx(-1)
    assert np.isnan(kappa(np.zeros(3, int), np.zeros(3, int)))


def test_samples_without_a_label_are_left_out():
    metric = MaskedMetric(QuadraticKappa(4))
    metric.update_state(np.array([0, -1, 3]), np.eye(4)[[0, 0, 3]])
    assert float(metric.result()) == 1
    metric.reset_state()
    assert np.isnan(float(metric.result()))


def test_it_is_saved():
    again = QuadraticKappa.from_config(QuadraticKappa(5, name="agreement").get_config())
    assert (again.num_classes, again.name, again.decoder) == (5, "agreement", None)
