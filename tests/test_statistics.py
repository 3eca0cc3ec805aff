import numpy as np
import pytest
from scipy.stats import norm

from mtlkit._statistics import (
    bootstrap_interval,
    count_table,
    fitted_temperature,
    holm,
    mean_interval,
    p_better,
    share_interval,
)
from mtlkit.diagnostics._effects import least_effect, status_of


def test_bootstrap_interval_is_about_the_normal_one():
    values = np.random.default_rng(0).normal(size=400)
    half = norm.ppf(0.975) * values.std() / 20
    assert bootstrap_interval(values) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.02
    )


def test_share_interval_is_wilsons():
    # Wilson's formula by hand for 10 of 100.
    z = norm.ppf(0.975)
    middle, half = (
        (0.1 + z**2 / 200) / (1 + z**2 / 100),
        z * np.sqrt(0.09 / 100 + z**2 / 40000) / (1 + z**2 / 100),
    )
    assert share_interval(10, 100) == pytest.approx((middle - half, middle + half))
    assert share_interval(0, 0) == (0, 1)


def test_holm_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]).max() == 1


def test_p_better_counts_the_samples_that_differ():
    first = np.array([True] * 6 + [False] * 4)
    second = np.array([False] * 5 + [True] + [False] * 3 + [True])
    assert p_better(first, second) == pytest.approx(7 / 64)  # five or six heads of six
    assert p_better(np.zeros(5), np.ones(5)) == 1
    assert p_better(np.ones(5), np.zeros(5)) == 0


def test_an_effect_must_exceed_two_points_and_a_tenth_of_the_way():
    assert least_effect(0.1, 0.2) == 0.02
    assert least_effect(0.0, 1.0) == pytest.approx(0.1)
    assert [status_of(ends, 0.1) for ends in [(0.2, 0.3), (0, 0.05), (0, 0.3)]] == [
        "found",
        "absent",
        "unclear",
    ]


def test_mean_interval_is_students():
    # Two degrees of freedom: 4.3027; the standard error is 1 / sqrt(3).
    mean, (low, high) = mean_interval([1.0, 2.0, 3.0])
    assert (mean, high - 2, 2 - low) == pytest.approx((2, 4.30265 / 3**0.5, 4.30265 / 3**0.5))
    assert mean_interval([1.0])[1] == (-np.inf, np.inf)
    assert mean_interval([5.0, 5.0, 5.0]) == (5.0, (5.0, 5.0))
    assert mean_interval([1.0, 2.0, 3.0], comparisons=3)[1][1] > high


def test_the_temperature_of_samples_drawn_from_a_softmax_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 4))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)  # samples of the softmax
    assert fitted_temperature(3 * logits, labels, 0.05, 20.0) == pytest.approx(3, rel=0.05)


def test_a_table_counts_pairs():
    assert count_table([0, 0, 1], [1, 1, 2], 2, 3).tolist() == [[0, 2, 0], [0, 0, 1]]
    assert count_table([1], [0], 2).tolist() == [[0, 0], [1, 0]]
