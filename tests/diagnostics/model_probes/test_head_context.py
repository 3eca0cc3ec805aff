"""A head that would need to see what another task predicts."""

import keras
import numpy as np
import pytest
from diagnostics.planted_users import gap, unchanged

import mtlkit as mtl
from mtlkit.diagnostics import Evidence
from mtlkit.diagnostics._training.copies import conditioned_copy
from mtlkit.diagnostics.model_probes import context

pytestmark = pytest.mark.usefixtures("even_steps")
PLACES, TRAINED = 4, 400


def turned(samples=600):
    """Columns that show a place and a kind; the label of the place counts from the kind's own."""
    rng = np.random.default_rng(0)
    place, kind = rng.integers(PLACES, size=samples), rng.integers(2, size=samples)
    lot = rng.integers(2, size=samples)
    x = 0.1 * rng.normal(size=(samples, 8)).astype("float32")
    x[np.arange(samples), place] += 1
    x[np.arange(samples), 4 + kind] += 1
    x[np.arange(samples), 6 + lot] += 1
    return x, {"pose": (place + 2 * kind) % PLACES, "kind": kind, "lot": lot}


@pytest.fixture(scope="module")
def data():
    x, y = turned()
    trained = {name: labels[:TRAINED] for name, labels in y.items()}
    held = {name: labels[TRAINED:] for name, labels in y.items()}
    return x[:TRAINED], trained, x[TRAINED:], held


@pytest.fixture(scope="module")
def model(data):
    """A model whose linear head reads the place or the kind, but not both at once."""
    keras.utils.set_random_seed(0)
    head = mtl.heads.ClassificationHead
    made = mtl.MultiTaskModel(
        keras.Sequential([keras.Input((8,)), keras.layers.Identity()]),
        [
            mtl.Task("kind", head(2, hidden_units=0)),
            mtl.Task("lot", head(2, hidden_units=0)),
            mtl.Task("pose", head(PLACES, hidden_units=0), weight=2.0),
        ],
    )
    made.compile(keras.optimizers.Adam(0.05), jit_compile=False)
    made.fit(*data[:2], epochs=10, batch_size=64, verbose=0)
    return made


def run(model, data, status="unclear", other="kind", behind="found", budget=60):
    x, y, x_val, y_val = data
    evidence = Evidence("needs_context", status, "", details={"task": other, "shown": True})
    return context.probe(
        model,
        x,
        y,
        "pose",
        x_val=x_val,
        y_val=y_val,
        ceiling=gap(0.9, behind),
        context=evidence,
        budget=budget,
    )


@pytest.mark.every_backend
def test_a_head_that_does_not_see_the_other_task_is_found(model, data):
    weights = model.get_weights()
    found = run(model, data)
    assert found.found and found.effect > 0.3 and found.interval[0] > 0.2
    scores = found.details["scores"]
    assert scores["conditioned"] > 0.9 and scores["longer"] < 0.6
    assert found.details["gain"] == pytest.approx(scores["conditioned"] - scores["model"])
    assert 'condition_on="kind", conditioning="experts"' in found.details["code"]
    assert "what is predicted of 'kind'" in found.text
    assert unchanged(model, weights)


def test_a_task_that_says_nothing_of_it_gains_nothing(model, data):
    assert run(model, data, other="lot").status == "absent"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"status": "absent"}, "No sign"),
        ({"other": "colour"}, "no task 'colour'"),
        ({"behind": "absent"}, "not evidently behind"),
        ({"budget": 0.01}, "too long for the budget"),
    ],
)
def test_where_it_is_not_tried(model, data, options, why):
    found = run(model, data, **options)
    assert found.status == "not_tested" and why in found.text


def test_a_task_that_the_model_does_not_know_shows_nothing(model, data):
    x, y, x_val, y_val = data
    unknown = {**y, "kind": np.random.default_rng(1).integers(2, size=len(x))}
    found = run(model, (x, unknown, x_val, y_val))
    assert found.status == "not_tested" and "no better than a constant" in found.text


def test_a_head_that_sees_another_task_already(model, data):
    seeing = conditioned_copy(model, "pose", "kind", "film", seed=0)
    seeing.compile("adam")
    found = run(seeing, data)
    assert found.status == "not_tested" and "sees the predictions of 'kind' already" in found.text


def test_a_conditioned_copy_predicts_what_the_model_does(model, data):
    model.task_weights["pose"].assign(3.0)
    seeing = conditioned_copy(model, "pose", "kind", "experts", seed=0)
    for name, outputs in model.predict(data[2], verbose=0).items():
        np.testing.assert_allclose(seeing.predict(data[2], verbose=0)[name], outputs, atol=1e-5)
    assert float(seeing.task_weights["pose"]) == 3
    model.task_weights["pose"].assign(2.0)
