"""Models saved by version 0.1.0, before modules moved, load and predict the same."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import mtlkit as mtl

FOLDER = Path(__file__).parents[1] / "data" / "landed"


@pytest.fixture(scope="module")
def saved():
    return np.load(FOLDER / "outputs.npz")


def by_task(saved, prefix):
    return {key.removeprefix(prefix): saved[key] for key in saved if key.startswith(prefix)}


@pytest.mark.parametrize("kind", ["multi", "plain"])
def test_loads_with_the_same_outputs(saved, kind):
    name = {"multi": "multi_task_model", "plain": "plain_model"}[kind]
    model = keras.models.load_model(FOLDER / f"{name}.keras")
    outputs = model.predict(saved["x"], verbose=0)
    for task, expected in by_task(saved, f"{kind}_").items():
        np.testing.assert_allclose(outputs[task], expected, rtol=1e-4, atol=1e-5)


def test_goes_on_training(saved):
    model = keras.models.load_model(FOLDER / "multi_task_model.keras")
    assert isinstance(model, mtl.MultiTaskModel)
    history = model.fit(saved["x"], by_task(saved, "y_"), batch_size=8, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
