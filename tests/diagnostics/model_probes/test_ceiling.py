"""The reference against the user's model."""

from __future__ import annotations

import numpy as np
import pytest
from diagnostics.planted_users import unchanged, user

import mtlkit as mtl
from mtlkit.diagnostics.model_probes import ceiling

pytestmark = pytest.mark.usefixtures("even_steps")


def run(model, data, task="place", **options):
    x, y, x_val, y_val = data
    return ceiling.probe(model, x, y, task, x_val=x_val, y_val=y_val, **{"budget": 5, **options})


@pytest.mark.every_backend
def test_a_pooled_model_is_behind(pooled, data):
    weights = pooled.get_weights()
    evidence = run(pooled, data)
    assert evidence.status == "found" and evidence.name == "model_gap"
    assert evidence.details["reference_skill"] > 0.9 > evidence.details["user_skill"]
    assert evidence.interval[0] > evidence.threshold >= 0.02
    assert np.allclose(evidence.details["reference_probability"].sum(axis=1), 1, atol=1e-4)
    assert len(evidence.details["labels"]) == evidence.samples == len(data[2])
    assert unchanged(pooled, weights)


def test_a_healthy_model_is_not(healthy, data):
    evidence = run(healthy, data)
    assert evidence.status == "absent"
    assert evidence.details["seen_in_training"] == 0


def test_without_validation_data_a_copy_is_judged(healthy, data):
    weights = healthy.get_weights()
    evidence = ceiling.probe(healthy, data[0], data[1], "place", budget=6)
    assert evidence.details["retrained"] and "fresh copy" in evidence.text
    assert evidence.samples == len(data[0]) // 5
    assert unchanged(healthy, weights)


def test_values_and_samples_seen_in_training(healthy, data):
    x, y = data[0], {"bright": 1000 * data[1]["bright"] - 200}
    evidence = ceiling.probe(healthy, x, y, "bright", x_val=x, y_val=y, budget=4)
    assert evidence.details["metric"] == "mae" and evidence.status == "found"
    assert evidence.details["reference_skill"] > 0.3  # whatever the unit of the labels
    assert evidence.details["seen_in_training"] == len(x)
    assert "among the training samples" in evidence.text


def test_unlabelled_samples_are_left_out(healthy, data):
    x, y, x_val, y_val = data
    hidden = {"place": np.where(np.arange(len(x_val)) < 30, -1, y_val["place"])}
    evidence = ceiling.probe(healthy, x, y, "place", x_val=x_val, y_val=hidden, budget=2)
    assert evidence.samples == len(x_val) - 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "other"}, "Expected a task out of .*Received: task='other'"),
        ({"y": {"bright": np.zeros(3)}}, "Expected y with labels of the task 'place'"),
        ({"y": np.zeros(3)}, "Expected y as a dict by task"),
        ({"y_val": None}, "Expected y_val with x_val"),
        ({"model": "model"}, "Expected a mtlkit.MultiTaskModel"),
        ({"budget": 0}, "Expected a budget"),
    ],
)
def test_errors(healthy, data, change, message):
    x, y, x_val, y_val = data
    given = {"model": healthy, "x": x, "y": y, "task": "place", "x_val": x_val, "y_val": y_val}
    with pytest.raises(ValueError, match=message):
        ceiling.probe(**{**given, **change})


def test_references_fit_the_task():
    score = ceiling.Score("accuracy", 0.1, 8, 180.0)
    names = [name for name, _ in ceiling.reference_candidates(score, np.zeros(3), (16, 16, 1))]
    assert names == ["polar", "flatten"]
    values = ceiling.Score("mae", 1.0)
    vectors = dict(ceiling.reference_candidates(values, np.zeros((3, 2)), (5,)))
    assert list(vectors) == ["flatten"]
    assert vectors["flatten"].predict(np.zeros((2, 5)), verbose=0)["reference"].shape == (2, 2)
    assert isinstance(vectors["flatten"], mtl.MultiTaskModel)


@pytest.fixture
def without_references(monkeypatch):
    """Neither simple references nor networks are worth anything."""

    def worthless(bench, *_):
        decoded = {"label": (bench.y_val + 1) % 4}
        yield ceiling._Candidate("kernel", 0.0, decoded)

    monkeypatch.setattr(ceiling, "_simple", worthless)
    monkeypatch.setattr(ceiling, "_networks", lambda *_: iter(()))


def test_where_no_reference_is_ahead_another_head_is_tried(data, pooled, without_references):
    evidence = run(pooled, data)
    assert evidence.details["reference"] == ceiling.OWN_FLAT and evidence.found
    assert evidence.details["reference_skill"] > 0.9 > evidence.details["inner_skill"][ceiling.OWN]
    assert "under a head that keeps positions" in evidence.text


@pytest.mark.parametrize(("epochs", "status"), [(1, "found"), (12, "absent")])
def test_where_no_reference_is_ahead_its_own_network_is_one(
    data, without_references, epochs, status
):
    evidence = run(user(epochs=epochs, rate=1e-2 if epochs > 1 else 1e-5), data)
    assert evidence.status == status
    assert evidence.details["reference"] in (ceiling.OWN, ceiling.OWN_FLAT)
    assert evidence.details["reference_skill"] > 0.9
    assert "its own" in evidence.text


def test_what_cannot_be_afforded_is_left_out(healthy, data):
    evidence = run(healthy, data, budget=0.1)
    assert set(evidence.details["inner_skill"]) <= ceiling.SIMPLE
