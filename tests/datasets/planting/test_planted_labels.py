"""Labels carry what the truth says, in every split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from mtlkit.datasets import planted


def steps_of(data):
    """How far the labels are from the truth, in bins around the circle, by split."""
    return {
        split: (y["orientation"] - data.true_bins[split]) % data.num_bins
        for split, _, y in data.splits()
    }


def is_rate(flipped, rate):
    return binomtest(int(flipped.sum()), len(flipped), rate).pvalue > 1e-4


@pytest.mark.parametrize(
    ("cause", "possible"),
    [
        ("uniform_noise", set(range(1, 16))),
        ("pair_flip", {8}),
        ("adjacent_flip", {1, 15}),
        ("twins_and_noise", set(range(1, 16))),
        ("pool_and_noise", set(range(1, 16))),
        ("pair_flip_half", {8}),
    ],
)
def test_flips_are_as_told(cause, possible):
    data = planted(cause, samples=5000, num_bins=16)
    assert data.truth.noise_rate == (0.5 if cause == "pair_flip_half" else 0.2)
    for steps in steps_of(data).values():
        assert is_rate(steps != 0, data.truth.noise_rate)
        assert set(steps) - {0} == possible


@settings(max_examples=5, deadline=None)
@given(rate=st.floats(0.05, 0.95), seed=st.integers(0, 1000))
def test_any_rate_of_noise(rate, seed):
    data = planted("uniform_noise", samples=500, num_bins=8, severity=rate, seed=seed)
    assert data.truth.noise_rate == rate
    assert is_rate(steps_of(data)["train"] != 0, rate)


def test_uniform_noise_is_uniform():
    steps = steps_of(planted("uniform_noise", samples=10_000, num_bins=8, severity=0.9))["train"]
    shares = np.bincount(steps[steps != 0], minlength=8)[1:] / (steps != 0).sum()
    np.testing.assert_allclose(shares, 1 / 7, atol=0.02)


def test_pairs_are_those_that_are_flipped():
    data = planted("pair_flip", samples=500, num_bins=8)
    assert data.truth.pairs == ((0, 4), (1, 5), (2, 6), (3, 7))
    flipped = steps_of(data)["train"] != 0
    found = zip(data.true_bins["train"][flipped], data.y_train["orientation"][flipped], strict=True)
    assert {tuple(sorted(map(int, pair))) for pair in found} == set(data.truth.pairs)
    assert (7, 0) in planted("adjacent_flip", samples=100, num_bins=8).truth.pairs


@pytest.mark.parametrize("task", ["orientation", "identity"])
def test_permuted_labels_say_nothing(task):
    clean = planted("clean", samples=5000, num_bins=8)
    cause = {"orientation": "no_signal", "identity": "identity_broken"}[task]
    data = planted(cause, samples=5000, num_bins=8)
    for (_, _, y), (_, _, right) in zip(data.splits(), clean.splits(), strict=True):
        assert is_rate(
            y[task] == right[task], (np.bincount(right[task]) ** 2).sum() / len(y[task]) ** 2
        )
        np.testing.assert_array_equal(np.sort(y[task]), np.sort(right[task]))
        others = set(y) - {task}
        assert all(np.array_equal(y[other], right[other]) for other in others)


def test_misaligned_labels_are_those_of_the_row_before():
    clean = planted("clean", samples=200, num_bins=8)
    data = planted("misaligned_labels", samples=200, num_bins=8)
    for (_, x, y), (_, same, right) in zip(data.splits(), clean.splits(), strict=True):
        np.testing.assert_array_equal(x, same)
        for task in y:
            np.testing.assert_array_equal(y[task][1:], right[task][:-1])


def test_class_counts():
    counts = np.bincount(planted("clean", samples=10_000, num_bins=8).y_train["orientation"])
    np.testing.assert_allclose(counts / 6000, 1 / 8, atol=0.02)
    for cause in ("imbalance_hurts", "imbalance_harmless"):
        data = planted(cause, samples=10_000, num_bins=8)
        train, test = (
            np.bincount(y["orientation"], minlength=8) for y in (data.y_train, data.y_test)
        )
        assert 50 < train.max() / train.min() < 250
        assert train.argmax() == test.argmax()  # the same classes are frequent in all splits


def test_rare_classes_differ_between_seeds():
    most = [
        np.bincount(
            planted("imbalance_hurts", samples=400, num_bins=8, seed=s).y_train["orientation"]
        ).argmax()
        for s in range(6)
    ]
    assert len(set(most)) > 1


def test_context_decides_and_is_in_identity_alone():
    data = planted("needs_context", samples=4000, num_bins=8)
    shifts = np.round(np.array(data.truth.details["shifts"]) * 8).astype(int)
    for _, _, y in data.splits():
        assert len(np.unique(y["identity"])) == 10
    for split, steps in steps_of(data).items():
        identity = getattr(data, f"y_{split}")["identity"]
        np.testing.assert_array_equal(steps, shifts[identity % 4])
    clean = planted("clean", samples=4000, num_bins=8)
    np.testing.assert_array_equal(data.x_train, clean.x_train)
    assert is_rate(data.y_train["identity"] == clean.y_train["identity"], 0.1)


def test_identity_tells_the_orientation():
    data = planted("leak_through_identity", samples=2000, num_bins=16)
    told = data.y_train["identity"] == data.y_train["orientation"] * 10 // 16
    assert 0.88 < told.mean() < 0.94
