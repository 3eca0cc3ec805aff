"""HeadHyperModel, driven by KerasTuner's own tuners."""

import keras
import keras_tuner
import numpy as np
import pytest
import small_searches as small

from mtlkit.search import HeadHyperModel
from mtlkit.search.hypermodel import _steps
from mtlkit.space import check_point


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    small.eagerly(monkeypatch)


@pytest.fixture
def hypermodel():
    return HeadHyperModel(
        small.backbone(), small.tasks(), "orientation", small.CANDIDATES, small.SETTINGS
    )


@pytest.mark.parametrize("kind", ["RandomSearch", "Hyperband"])
def test_tuners_of_keras_tuner(kind, hypermodel, tmp_path):
    objective = hypermodel.space.given_model().objective("orientation")
    options = {"max_epochs": 2, "factor": 2} if kind == "Hyperband" else {"max_trials": 2}
    tuner = getattr(keras_tuner, kind)(hypermodel, objective, directory=tmp_path, seed=1, **options)
    (x, y), validation = small.data()
    tuner.search(x, y, validation_data=validation, epochs=1, verbose=0)
    trials = [t for t in tuner.oracle.trials.values() if t.status == "COMPLETED"]
    assert len(trials) == len(tuner.oracle.trials) >= 2
    for trial in trials:
        check_point(hypermodel.space.space, hypermodel.point(trial.hyperparameters))
    best = tuner.get_best_hyperparameters()[0]
    task = keras.saving.deserialize_keras_object(hypermodel.config(best)["task"])
    model = hypermodel.build(best)
    assert model.tasks["orientation"].head.get_config() == {
        **task.head.get_config(),
        "name": "orientation",
    }
    assert type(tuner.get_best_models()[0]) is type(model)


def test_all_conditions_are_declared_at_once(hypermodel):
    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    names = {part.name for part in hp.space}
    assert {"orientation/bins.spatial", "orientation/classes.pooling"} <= names
    hypermodel.build(hp)
    assert {part.name for part in hp.space} == names


def test_the_rate_falls_to_zero(hypermodel):
    hp = keras_tuner.HyperParameters()
    model = hypermodel.build(hp)
    (x, y), _ = small.data()
    hypermodel.fit(hp, model, x, y, epochs=2, batch_size=8, verbose=0)
    schedule = model.optimizer._learning_rate
    steps = int(np.asarray(model.optimizer.iterations))
    assert steps == 6 and schedule(0) > 0
    np.testing.assert_allclose(schedule(steps), 0.0, atol=1e-9)


def test_a_frozen_backbone(tmp_path):
    hypermodel = HeadHyperModel(
        small.backbone(), small.tasks(), "orientation", small.CANDIDATES, freeze_backbone=True
    )
    model = hypermodel.build(keras_tuner.HyperParameters())
    assert not model.backbone.trainable_weights and model.trainable_weights


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"steps_per_epoch": 7}, 14),
        ({"x": np.zeros((10, 2)), "y": np.zeros(10)}, 2),
        ({"x": np.zeros((10, 2)), "y": np.zeros(10), "batch_size": 4}, 6),
        ({"x": np.zeros((10, 2)), "y": np.zeros(10), "validation_split": 0.5, "batch_size": 5}, 2),
        ({"x": [1, 2, 3]}, 6),
        ({"x": iter([])}, None),
        ({"x": [1, 2, 3], "initial_epoch": 1}, 3),
    ],
    ids=range(7),
)
def test_steps(changes, steps):
    given = {
        "x": None,
        "y": None,
        "epochs": 2,
        "initial_epoch": 0,
        "steps_per_epoch": None,
        "validation_split": 0.0,
        "batch_size": None,
    }
    assert _steps({**given, **changes}) == steps
