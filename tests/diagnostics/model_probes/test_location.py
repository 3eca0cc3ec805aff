"""Where along trunk and head the task is lost."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from diagnostics.planted_users import SHAPE, gap, seeing_parity, told_parity, unchanged, user

import mtlkit as mtl
from mtlkit.diagnostics._training.score import Score
from mtlkit.diagnostics.model_probes import location
from mtlkit.diagnostics.model_probes._features import dead_share, effective_rank, probed
from mtlkit.diagnostics.model_probes._location_arms import reads_positions
from mtlkit.references._backbone_features import on_grid

pytestmark = pytest.mark.usefixtures("even_steps")


@pytest.fixture(scope="module")
def trained():
    """The arms of each model, by its maps and the budget."""
    return {}


@pytest.fixture(autouse=True)
def arms_are_trained_once(trained, monkeypatch):
    """Tests that look at one model in several ways share what was trained for it."""
    train = location.train_arms

    def once(bench, own, positions):
        key = own.train.tobytes(), own.held.tobytes(), bench.clock.budget
        if key not in trained:
            trained[key] = train(bench, own, positions)
        return copy.deepcopy(trained[key])

    monkeypatch.setattr(location, "train_arms", once)


def run(model, data, ceiling, budget=40):
    x, y, x_val, y_val = data
    found = location.probe(
        model, x, y, "place", x_val=x_val, y_val=y_val, ceiling=ceiling, budget=budget
    )
    assert [one.name for one in found] == list(location.NAMES)
    return {one.name: one for one in found}


@pytest.mark.every_backend
def test_a_head_that_averages_positions_away_is_found(pooled, data):
    weights = pooled.get_weights()
    found = run(pooled, data, gap(0.1))
    head = found["head_destroys_space"]
    assert head.status == "found" and head.details["gain"] > 0.5
    assert head.details["probes"]["map"] > head.details["probes"]["average"] + 0.3
    assert head.details["code"] == (
        'model = model.with_head("place", mtl.heads.ClassificationHead(4, "flatten"))'
    )
    assert found["backbone_lacks_task"].status == "absent"
    assert found["backbone_collapse"].status == "absent"
    assert unchanged(pooled, weights)


def by_hand(vector: keras.layers.Layer) -> mtl.MultiTaskModel:
    """A model of Keras whose outputs read a vector, adopted and not trained."""
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE, name="image")
    maps = keras.layers.Conv2D(4, 3, activation="relu", padding="same", name="conv")(image)
    features = vector(maps)
    outputs = {
        "place": keras.layers.Dense(4, activation="softmax", name="place")(features),
        "bright": keras.layers.Dense(1, name="bright")(features),
    }
    model = keras.Model(image, outputs)
    model.compile("adam", {"place": "sparse_categorical_crossentropy", "bright": "mse"})
    return mtl.MultiTaskModel.from_keras(model)


@pytest.mark.every_backend
def test_positions_that_are_lost_before_a_vector(data):
    model = by_hand(keras.layers.GlobalAveragePooling2D(name="pool"))
    head = run(model, data, gap())["head_destroys_space"]
    assert head.status == "found" and head.details["gain"] > 0.5
    assert head.details["reads_positions"] == pytest.approx(0, abs=1e-5)
    code = (
        'model = model.with_head("place", mtl.heads.ClassificationHead(4, "flatten"), '
        'feature="conv")'
    )
    assert head.details["code"] == code
    exec(code, names := {"model": model, "mtl": mtl})
    assert names["model"].tasks["place"].feature == "conv"


def test_a_vector_that_keeps_positions_is_not_blamed(data, monkeypatch):
    train = location.train_arms

    def ahead(*arguments):
        arms = train(*arguments)
        arms.on_trunk[arms.best] = np.ones_like(arms.afresh)
        arms.afresh = arms.on_trunk["the user's head"] = np.zeros_like(arms.afresh)
        return arms

    monkeypatch.setattr(location, "train_arms", ahead)
    head = run(by_hand(keras.layers.Flatten()), data, gap())["head_destroys_space"]
    assert head.status == "absent" and head.details["reads_positions"] > 0.5


def test_a_healthy_model_is_left_alone(healthy, data):
    found = run(healthy, data, gap(0.98, "absent"))
    statuses = {name: one.status for name, one in found.items()}
    assert statuses.pop("backbone_collapse") == "absent"
    assert set(statuses.values()) == {"not_tested"}
    assert found["head_destroys_space"].details["probes"]["map"] > 0.5


@pytest.mark.parametrize("source", ["model", "data"])
def test_a_conditioned_head_is_compared_with_the_model_alone(data, source):
    """It reads more than the map, so it cannot be trained on the frozen trunk."""
    x, y, x_val, y_val = data
    told, told_val = told_parity(x, y), told_parity(x_val, y_val)
    if source == "model":
        told, told_val = (x, told[1]), (x_val, told_val[1])
    found = run(seeing_parity(source), (*told, *told_val), gap(0.1), budget=3)
    head = found["head_destroys_space"]
    assert head.status != "not_tested" and "a head that keeps positions" in head.details["scores"]
    assert (
        "the user's head, trained" not in head.text
        and "the user's head" not in head.details["scores"]
    )


def test_a_short_training_is_not_blamed_on_the_head(data):
    found = run(user(epochs=1, rate=1e-4), data, gap())
    assert found["head_destroys_space"].status == "absent"


@pytest.mark.parametrize(
    ("head", "reads"),
    [
        (mtl.heads.ClassificationHead(4), False),
        (mtl.heads.ClassificationHead(4, "max"), False),
        (mtl.heads.ClassificationHead(4, "flatten"), True),
        (mtl.heads.OrientationHead(8, "attention"), False),
        (mtl.heads.OrientationHead(8, "coord"), True),
        (mtl.heads.OrientationHead(8, "spatial_softmax"), True),
    ],
    ids=range(6),
)
def test_heads_that_read_positions(head, reads):
    """Blobs somewhere near the middle: another place changes what such a head says."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(-0.5, 0.5, size=(60, 2, 1, 1))
    rows, columns = np.mgrid[-1:1:8j, -1:1:8j]
    blobs = np.exp(-4 * ((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2))
    maps = (blobs[..., None] * rng.uniform(0.5, 1, size=(60, 1, 1, 6))).astype("float32")
    bench = SimpleNamespace(seed=0, task=mtl.Task("place", head))
    assert (reads_positions(bench, maps) >= location.MOVED) == reads


def test_a_head_that_reads_positions_is_not_blamed(pooled, data, monkeypatch):
    monkeypatch.setattr(location, "reads_positions", lambda bench, maps: 1.0)
    head = run(pooled, data, gap(0.1))["head_destroys_space"]
    assert head.status == "absent" and "reads positions" in head.text


def test_a_head_is_not_blamed_where_the_network_learns_to_do_without_positions(
    pooled, data, monkeypatch
):
    train = location.train_arms

    def learned(*arguments):
        arms = train(*arguments)
        arms.afresh = arms.on_trunk[arms.best] - 0.01
        return arms

    monkeypatch.setattr(location, "train_arms", learned)
    head = run(pooled, data, gap(0.1))["head_destroys_space"]
    assert head.status == "absent" and "trained afresh" in head.text


def test_a_dead_trunk_is_found(data):
    model = user(bias=-100.0, epochs=1)
    found = run(model, data, gap())
    assert found["backbone_collapse"].status == "found"
    assert found["backbone_collapse"].details["dead"] == 1
    assert found["backbone_lacks_task"].status == "found"
    assert found["head_destroys_space"].status != "found"


def test_a_head_that_reads_positions_is_not_blamed_for_a_dead_trunk(data, monkeypatch):
    """Whatever is moved in a constant map, nothing changes; and heads on other maps do better."""
    train = location.train_arms

    def without_the_trunk(*arguments):
        arms = train(*arguments)
        arms.on_trunk[arms.best] = np.ones_like(arms.afresh)
        arms.afresh = np.zeros_like(arms.afresh)
        return arms

    monkeypatch.setattr(location, "train_arms", without_the_trunk)
    found = run(user(bias=-100.0, epochs=1), data, gap())
    assert found["backbone_collapse"].status == "found"
    head = found["head_destroys_space"]
    assert head.status == "absent" and head.details["reads_positions"] > 0.5


def test_probes_of_features():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(300, 4, 4, 3)).astype("float32")
    maps[..., 2] = 5
    assert dead_share(maps) == 1 / 3 and dead_share(0 * maps) == 1
    assert effective_rank(on_grid(0 * maps)) == 0
    assert on_grid(maps).shape == (300, 48)
    wide = np.zeros((2, 8, 8, 1000), "float32")
    assert on_grid(wide).shape == (2, 1000)  # at most 2048 features
    y = (maps[:, 0, 0, 0] > 0).astype(int)
    score = Score("accuracy", 0.5, 2)
    judged = np.arange(100)
    assert probed(on_grid(maps), y, score, judged).mean() > 0.7
    assert abs(probed(on_grid(0 * maps), y, score, judged).mean()) < 0.3
