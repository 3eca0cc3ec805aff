"""Whether the other tasks disturb or starve this one."""

from __future__ import annotations

import numpy as np
import pytest
from diagnostics.planted_users import SHAPE, gap, unchanged, user

import mtlkit as mtl
from mtlkit.diagnostics._training.copies import compiled_like, copy_of, fresh_copy
from mtlkit.diagnostics._training.trainer import Trainer
from mtlkit.diagnostics.model_probes import interference
from mtlkit.diagnostics.model_probes._shares import gradient_shares

pytestmark = pytest.mark.usefixtures("even_steps")


def run(model, data, ceiling, budget=40):
    x, y, x_val, y_val = data
    found = interference.probe(
        model, x, y, "place", x_val=x_val, y_val=y_val, ceiling=ceiling, budget=budget
    )
    assert [one.name for one in found] == list(interference.NAMES)
    return {one.name: one for one in found}


@pytest.mark.parametrize(
    ("ceiling", "words", "status"),
    [
        (gap(0.98, "absent"), "not evidently behind", "not_tested"),
        (gap(), "No other task's gradient reaches", "absent"),
    ],
)
def test_nothing_is_trained_without_need(healthy, data, ceiling, words, status):
    found = run(healthy, data, ceiling)
    assert {one.status for one in found.values()} == {status}
    assert words in found["interference"].text


def test_a_starved_task_is_found(data):
    model = user(gradient="flow", weight=100.0, rate=0.2, epochs=2, optimizer="sgd")
    weights = model.get_weights()
    found = run(model, data, gap())
    starved = found["loss_starvation"]
    skills = starved.details["by_seed"]
    pairs = list(zip(skills["all tasks"], skills["equal shares"], strict=True))
    stuck = [(own, equal) for own, equal in pairs if own < 0.5]
    gains = [equal - own for own, equal in stuck]
    assert stuck and np.mean(gains) > 0.2
    # They tell only if they agree; from other weights, one may escape, or stay stuck.
    agree = len(stuck) == len(pairs) and min(gains) > 0.2
    assert starved.status == "found" if agree else starved.status != "absent"
    assert starved.details["shares_at_start"]["place"] < 0.1
    assert found["interference"].status != "found"  # equal shares are all that it needs
    assert 3 <= len(starved.details["by_seed"]["alone"]) <= 6  # three more if three do not tell
    assert unchanged(model, weights)


def test_conflicts_are_said_as_the_monitor_measures_them(data):
    model = user(gradient="flow", epochs=1)
    bench = interference.Bench(model, *data[:2], "place", *data[2:], 0, 20.0)
    trainer = Trainer(compiled_like(fresh_copy(model, 0), model), bench.x, bench.y)
    monitor = interference._monitor(bench, 12)
    trainer.run(12, 0, callback=monitor)
    assert [row.step for row in monitor.history] == [0, 3, 6, 9, 12]
    (pair,) = monitor.table()
    assert {pair["first"], pair["second"]} == {"bright", "place"} and pair["overlap"] == 1
    said = {
        verdict: interference._of_pairs([{**pair, "verdict": verdict}], "place")
        for verdict in ("conflict", "agreement", "unclear", "no claim")
    }
    assert (
        f"conflicts with that of 'bright' at 'last' (cosine {pair['cosine']:+.2f}"
        in (said["conflict"])
    )
    assert "no other task's beyond noise" in said["agreement"] and said["unclear"]
    assert "too few labelled samples" in said["no claim"]


@pytest.mark.every_backend
def test_equal_weights_make_equal_shares(images, labels):
    tasks = [
        mtl.Task("identity", mtl.heads.ClassificationHead(4), weight=3.0),
        mtl.Task("intensity", mtl.heads.RegressionHead(), gradient=0.1),
        mtl.Task("orientation", mtl.heads.OrientationHead(8, "flatten"), gradient="stop"),
    ]
    model = mtl.MultiTaskModel(mtl.backbones.ConvBackbone((8, 8, 1), (4,)), tasks)
    found = gradient_shares(model, images, labels)
    equal = found.equal_weights("intensity")
    assert found.norms["orientation"] == 0 and equal["orientation"] == equal["intensity"] == 1
    assert np.isclose(sum(found.shares.values()), 1)
    assert found.equal_weights("orientation") == found.weights
    for name, weight in equal.items():
        model.task_weights[name].assign(weight)
    after = gradient_shares(model, images, labels)
    assert np.allclose(list(after.shares.values()), [0.5, 0.5, 0], atol=1e-5)


@pytest.mark.every_backend
def test_shares_follow_the_losses():
    """Two tasks with the same head and labels: their gradients are equal."""
    heads = mtl.heads
    tasks = [mtl.Task(name, heads.RegressionHead(hidden_units=0)) for name in "ab"]
    model = mtl.MultiTaskModel(mtl.backbones.ConvBackbone(SHAPE, (4,)), tasks)
    model.tasks["b"].head.set_weights(model.tasks["a"].head.get_weights())
    model.task_weights["b"].assign(3.0)
    rng = np.random.default_rng(0)
    x, y = rng.random((9, *SHAPE)), rng.random(9)
    found = gradient_shares(copy_of(model), x, {"a": y, "b": y})
    assert np.isclose(found.shares["a"], 0.25, atol=1e-5)
