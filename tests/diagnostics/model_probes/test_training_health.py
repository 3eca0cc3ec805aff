"""Changing one thing about the training at a time."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from diagnostics.planted_users import SHAPE, gap, seeing_parity, told_parity, unchanged, user

import mtlkit as mtl
from mtlkit.diagnostics._training.bench import Bench, Gap
from mtlkit.diagnostics._training.standardised import is_standardised
from mtlkit.diagnostics.model_probes import training_health
from mtlkit.diagnostics.model_probes._input_scale import input_scale
from mtlkit.diagnostics.model_probes._mismatch import loss_mismatch

pytestmark = pytest.mark.usefixtures("even_steps")


def run(model, data, ceiling, budget=8):
    x, y, x_val, y_val = data
    found = training_health.probe(
        model, x, y, "place", x_val=x_val, y_val=y_val, ceiling=ceiling, budget=budget
    )
    assert [one.name for one in found] == list(training_health.NAMES)
    return {one.name: one for one in found}


def mismatch(model, data, ceiling):
    x, y, x_val, y_val = data
    bench = Bench(model, x, y, "place", x_val, y_val, budget=60)
    return loss_mismatch(bench, Gap.of(ceiling), seconds=15)


def test_nothing_is_tried_where_nothing_is_amiss(healthy, data):
    found = run(healthy, data, gap(0.99, "absent"))
    assert found.pop("under_trained").status == "absent"
    assert {one.status for one in found.values()} == {"not_tested"}


@pytest.mark.every_backend
def test_a_tiny_rate_is_found(data):
    model = user(rate=1e-6, epochs=2)
    weights = model.get_weights()
    found = run(model, data, gap())
    assert found["optimizer"].status == "found"
    details = found["optimizer"].details
    assert "Adam" in details["code"]
    low, high = details["gain_interval"]
    assert details["recovered"] > 0.5 and low < details["gain"] < high
    assert found["under_trained"].status != "found"
    assert found["loss_mismatch"].status == found["input_scale"].status == "absent"
    assert unchanged(model, weights)


def test_a_poor_model_that_no_reference_beats_is_judged_against_itself(data):
    ceiling = gap(0.1, "absent")
    ceiling.details["reference_skill"] = 0.1
    found = run(user(rate=1e-6, epochs=2), data, ceiling)
    assert found["optimizer"].status == "found" and found["optimizer"].details["recovered"] == 1
    assert "Adam" in found["optimizer"].details["code"]


def test_a_short_training_is_found(data):
    found = run(user(epochs=1, rate=5e-4), data, gap(0.4), budget=20)
    assert found["under_trained"].status == "found"
    assert found["under_trained"].details["gain"] > 0.1
    assert found["optimizer"].status != "found"  # the twin learns as much in as many steps


def test_a_loss_that_does_not_train_is_found(data):
    def flat(y_true, y_pred):
        return keras.ops.mean(keras.ops.tanh(y_pred), axis=-1)

    found = mismatch(user(loss=flat), data, gap())
    assert found.status == "found" and "by heart" in found.text
    assert found.details["by_heart"]["own"] < 0.5


def test_a_plain_loss_of_the_users_own_is_not(data):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    found = mismatch(user(loss=loss, epochs=12), data, gap(0.9))
    assert found.status != "found"


def test_a_model_without_an_optimizer_is_skipped(data):
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone(SHAPE, (4,)),
        [mtl.Task("place", mtl.heads.ClassificationHead(4))],
    )
    found = run(model, data, gap())
    assert found["optimizer"].status == found["under_trained"].status == "not_tested"


@pytest.mark.parametrize(
    ("backbone", "scale", "expected"),
    [
        ({"normalize": True}, 1, True),
        ({"normalize": False}, 1, False),
        ({"normalize": False}, 100, False),
    ],
)
def test_the_scale_of_inputs(backbone, scale, expected):
    images = scale * np.random.default_rng(0).random((50, *SHAPE)).astype("float32")
    trunk = mtl.backbones.ConvBackbone(SHAPE, (4,), **backbone)
    if trunk.normalize:
        trunk.adapt(images)
    model = mtl.MultiTaskModel(trunk, [mtl.Task("a", mtl.heads.ClassificationHead(2))])
    assert is_standardised(model, images) is expected
    assert backbone["normalize"] or is_standardised(model, (images - scale / 2) / scale * 3)


def test_inputs_of_another_scale_are_found(data):
    x, y, x_val, y_val = data
    far = [1e4 + 100 * one for one in (x, x_val)]
    keras.utils.set_random_seed(0)
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone(SHAPE, (4,), normalize=False),
        [mtl.Task("place", mtl.heads.ClassificationHead(4, "flatten", layer_norm=False))],
    )
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    model.fit(far[0], {"place": y["place"]}, epochs=3, verbose=0)
    found = run(model, (far[0], y, far[1], y_val), gap(), budget=8)
    assert found["input_scale"].status == "found"
    assert "Normalization()" in found["input_scale"].details["code"]


def test_of_several_inputs_the_images_are_standardised(data):
    told = (*told_parity(*data[:2]), *told_parity(*data[2:]))
    bench = Bench(seeing_parity(normalize=False), *told[:2], "place", *told[2:], budget=60)
    changed = bench.changed(bench.x, lambda images: images + 1)
    np.testing.assert_array_equal(changed["image_input"], data[0] + 1)
    np.testing.assert_array_equal(changed["parity_prediction"], told[0]["parity_prediction"])
    found = input_scale(bench, Gap.of(gap()), seconds=0.4)
    assert found.status == "unclear" and found.details["steps"] > 0


def test_after_too_few_steps_the_scale_of_inputs_stays_open(data):
    x, y, x_val, y_val = data
    model = user(normalize=False)
    bench = Bench(model, x, y, "place", x_val, y_val, budget=60)
    found = input_scale(bench, Gap.of(gap()), seconds=0.4)
    assert found.details["steps"] < 0.2 * bench.model.optimizer.iterations
    assert found.effect < found.threshold and found.status == "unclear"


def test_of_what_was_not_learned_the_scale_of_inputs_stays_open(data):
    x, y, x_val, y_val = data
    model = user(normalize=False)
    grey = np.full_like(x, 0.5), np.full_like(x_val, 0.5)
    bench = Bench(model, grey[0], y, "place", grey[1], y_val, budget=60)
    found = input_scale(bench, Gap.of(gap()), seconds=8)
    assert found.details["steps"] > 0.2 * bench.model.optimizer.iterations
    assert found.details["recovered"] < 0.1 and found.status == "unclear"


def test_inputs_are_compared_along_the_training(data):
    x, y, x_val, y_val = data
    model = user(normalize=False, epochs=1, rate=1e-6)  # the user's own training tells nothing
    bench = Bench(model, x, y, "place", x_val, y_val, budget=60)
    found = input_scale(bench, Gap.of(gap()), seconds=20)
    steps, early = found.details["steps"], found.details["early"]
    assert [one["steps"] for one in early] == [round(steps * share) for share in (0.25, 0.5, 0.75)]
    assert all(one["interval"][0] <= one["effect"] <= one["interval"][1] for one in early)
    assert set(found.details["scores"]) >= {"standardised inputs", "as it is"}
