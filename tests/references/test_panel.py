import numpy as np
import pytest

from mtlkit.references import Panel


def panel_of(correct, classes=2):
    """A panel whose references are right for the samples that are given."""
    samples = len(next(iter(correct.values())))
    y = np.arange(samples) % classes
    panel = Panel(np.random.default_rng(0).random((samples, 3)), y, classes)
    for name, one in panel.references.items():
        right = correct[name]
        one.scores = np.eye(classes, dtype="float32")[np.where(right, y, (y + 1) % classes)]
    return panel


def right(rng, shares, samples):
    return {name: rng.random(samples) < share for name, share in shares.items()}


NAMES = ("trees", "kernel", "linear", "boosting", "neighbours")


def test_the_choice_among_equals_is_optimistic():
    """The expected maximum of k equal and independent estimates is known."""
    samples, gains = 2000, []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        gains.append(panel_of(right(rng, dict.fromkeys(NAMES, 0.7), samples)).optimism)
    # The largest of five normal values lies 1.163 deviations above their mean; the skill is twice
    # the accuracy, less one. In a resample the leader of the sample has an advantage, so the
    # bootstrap sees a part of it.
    most = 2 * 1.163 * np.sqrt(0.7 * 0.3 / samples)
    assert 0.4 * most < np.mean(gains) < 1.2 * most


def test_the_choice_of_one_that_is_far_ahead_is_not():
    shares = {**dict.fromkeys(NAMES, 0.6), "trees": 0.9}
    assert panel_of(right(np.random.default_rng(0), shares, 2000)).optimism < 0.002


def test_the_skill_is_the_mean_over_samples():
    panel = panel_of(right(np.random.default_rng(0), dict.fromkeys(NAMES, 0.7), 500))
    for one in panel.references.values():
        assert one.skill == pytest.approx(2 * one.accuracy - 1)
        assert one.skill_by_sample.mean() == pytest.approx(one.skill)
