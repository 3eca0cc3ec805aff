"""What stops a trial, and what it costs the other tasks."""

import math
import random
import time

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mtlkit as mtl
from mtlkit.search._baselines import Baseline
from mtlkit.search._data import SearchData
from mtlkit.search._training import (
    NotANumber,
    OutOfTime,
    Watch,
    better,
    guarded,
    sacrificed,
    train,
)

CHANCE = {"a": Baseline(0.1, "chance", 400, shares=True)}
CONSTANT = {"a": Baseline(0.25, "constant 0.5", 400, shares=False)}


def lost(own, reference, direction="max", baselines=CHANCE, tolerance=0.05):
    name = "val_a_accuracy" if direction == "max" else "val_a_mae"
    metrics = {"a": (name, direction)}
    return sacrificed({name: own}, {name: reference}, metrics, tolerance, baselines)


class TestSacrificed:
    def test_accuracy_may_lose_a_share_of_its_skill_and_two_standard_errors(self):
        allowed = 0.05 * (0.8 - 0.1) + 2 * np.sqrt(2 * 0.8 * 0.2 / 400)
        assert lost([0.8 - allowed + 1e-6], [0.8]) == ({"a": 0.8 - allowed + 1e-6}, [])
        assert lost([0.8 - allowed - 1e-6], [0.8])[1] == ["a"]

    def test_an_error_may_lose_a_share_of_its_skill(self):
        assert lost([0.0599], [0.05], "min", CONSTANT)[1] == []
        assert lost([0.0601], [0.05], "min", CONSTANT)[1] == ["a"]

    def test_best_epochs_count_over_as_many_epochs(self):
        assert lost([0.3, 0.8, 0.1], [0.2, 0.8, 0.8, 1.0])[1] == []
        assert lost([0.3, float("nan")], [0.9, 0.2]) == ({"a": 0.3}, ["a"])

    def test_nothing_to_compare_with(self):
        assert lost([0.5], []) == ({"a": 0.5}, [])
        assert lost([], [0.5]) == ({}, [])
        assert lost([0.94], [1.0], baselines={})[1] == ["a"]


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["max", "min"]))
def test_who_sacrifices_is_told_to_be_worse_than_all_of_bounded_scores(good, bad, direction):
    assert guarded(bad, direction, ["a"]) <= guarded(good, direction, [])
    assert (guarded(good, direction, []) > guarded(bad, direction, [])) == better(
        good, bad, direction
    )


class Model(keras.Model):
    """Something to stop."""


def watch(values, direction="max", **options):
    watching = Watch("score", direction, **options)
    model = Model()
    model.stop_training = False
    watching.set_model(model)
    watching.set_params({"epochs": 10})
    for epoch, value in enumerate(values):
        watching.on_epoch_begin(epoch)
        watching.on_epoch_end(epoch, {"score": value, "loss": 1.0})
        if model.stop_training:
            break
    return watching


@pytest.mark.every_backend
def test_the_order_of_batches_is_that_of_the_seed():
    """Whatever was drawn before: Keras shuffles the batches themselves by the global state."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype("float32")
    data = SearchData(x, {"depth": x[:, 0]}, x, {"depth": x[:, 0]})
    curves = []
    for state in (1, 2):
        keras.utils.set_random_seed(0)
        task = mtl.Task("depth", mtl.heads.RegressionHead())
        backbone = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
        model = mtl.MultiTaskModel(backbone, [task])
        random.seed(state)
        watch = Watch("val_depth_loss", "min")
        train(model, data, watch, learning_rate=0.1, batch_size=4, epochs=2, seed=5)
        curves.append(watch.curves["loss"])
    np.testing.assert_allclose(*curves, rtol=1e-6)


class TestWatch:
    def test_the_best_epoch_is_kept(self):
        kept = []
        found = watch([0.2, 0.5, 0.4, 0.6], keep=lambda model: kept.append(len(kept)))
        assert (found.best, found.best_epoch, found.epochs, len(kept)) == (0.6, 3, 4, 3)
        assert watch([0.2, 0.5], "min").best == 0.2

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_no_number(self, value):
        with pytest.raises(NotANumber, match=r"score is .* after epoch 2"):
            watch([0.1, value])

    def test_no_score(self):
        with pytest.raises(ValueError, match=r"Expected the log 'val_x'.*Received: \['loss'\]"):
            Watch("val_x", "max").on_epoch_end(0, {"loss": 1.0})

    def test_time(self):
        with pytest.raises(OutOfTime):
            watch([0.1], deadline=time.monotonic() - 1)

    def test_behind_the_median_of_the_others(self):
        peers = [
            [0.1, 0.2, 0.3],
            [0.5, 0.6, 0.7],
            [0.5, 0.6, 0.9],
            [0.4, 0.7, 0.9],
            [0.5, 0.6, 0.6],
        ]
        found = watch([0.5, 0.5, 0.5], peers=peers, patience=2)
        assert found.epochs == 2 and "0.5 after 2 epochs" in found.hopeless
        assert watch([0.5, 0.61, 0.7], peers=peers, patience=2).hopeless == ""
        assert watch([0.1, 0.1], peers=peers[:4], patience=1).hopeless == ""
        down = [[1 - v for v in curve] for curve in peers]
        assert watch([0.5, 0.5, 0.5], "min", peers=down, patience=2).epochs == 2
