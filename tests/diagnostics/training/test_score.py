"""One score for all tasks."""

from __future__ import annotations

import numpy as np
import pytest

import mtlkit as mtl
from mtlkit.diagnostics._training.clock import Clock
from mtlkit.diagnostics._training.score import Score


def test_classes_are_scored_against_chance_or_the_most_frequent():
    head = mtl.heads.ClassificationHead(4)
    even, uneven = np.arange(400) % 4, np.repeat([0, 1, 2, 3], [340, 20, 20, 20])
    assert Score.of(head, 4, even).baseline == 0.25
    score = Score.of(head, 4, uneven)
    assert score.baseline == 0.85
    assert np.isclose(score.rows({"label": np.zeros(400, int)}, uneven).mean(), 0)
    assert np.isclose(score.rows({"label": uneven}, uneven).mean(), 1)
    assert score.text(0.5) == "accuracy 92.5 %"


def test_angles_are_scored_by_bins():
    head = mtl.heads.OrientationHead(8, "flatten", labels="degrees", period=180)
    degrees = np.array([0.0, 22.5, 170.0, 179.0])
    score = Score.of(head, 8, degrees)
    assert list(score.targets(degrees)) == [0, 1, 0, 0]  # 170 is nearer to 180 than to 157.5
    assert score.period == 180 and score.num_classes == 8


def test_values_are_scored_against_the_best_constant():
    head = mtl.heads.RegressionHead(2)
    y = np.random.default_rng(0).normal(size=(50, 2))
    score = Score.of(head, 2, y)
    constant = np.repeat(np.median(y, axis=0, keepdims=True), 50, axis=0)
    assert np.isclose(score.rows({"value": constant}, y).mean(), 0)
    assert np.isclose(score.rows({"value": y}, y).mean(), 1)
    assert np.isclose(score.value(1.0), 0)
    assert score.rows({"value": np.full((50, 2), np.nan)}, y).mean() == -10  # bounded


def test_a_head_that_cannot_be_scored_is_named():
    class Odd(mtl.heads.RegressionHead):
        def decode(self, outputs):
            return {"odd": outputs}

    with pytest.raises(ValueError, match="whose decode.. has 'label' or 'value'"):
        Score.of(Odd(), 1, np.zeros(3))


def test_a_budget_is_positive():
    with pytest.raises(ValueError, match="Expected a budget of CPU-seconds > 0"):
        Clock(0)
