"""Adopting Keras models: the same predictions, the same training, saving, and all that follows."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from adopted_models import (
    MODELS,
    as_outputs,
    build,
    by_name,
    data,
)

import mtlkit as mtl


def missing(y):
    """Labels of which every third is missing, as a whole."""
    found = {}
    for number, (task, labels) in enumerate(y.items()):
        gone = np.arange(len(labels)) % 3 == number % 3
        labels = labels.copy()
        labels[gone] = np.nan if labels.dtype.kind == "f" else -1
        found[task] = labels
    return found


def fit(model, x, y, seed=5, **options):
    keras.utils.set_random_seed(seed)
    return model.fit(x, y, **{"batch_size": 16, "epochs": 1, "verbose": 0, **options}).history


def same_weights(model, other, rtol=1e-6):
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        scale = max(float(np.abs(a).max()), 1e-3) if a.size else 1.0
        np.testing.assert_allclose(a / scale, b / scale, rtol=0, atol=rtol)


#: Models that go another way on each backend: masks, shuffling, what is kept in place.
EVERY_BACKEND = ("problem", "table", "tokens", "dense", "sequential")
KINDS = [
    pytest.param(name, marks=pytest.mark.every_backend if name in EVERY_BACKEND else ())
    for name in MODELS
]


@pytest.fixture(scope="module", params=KINDS)
def pair(request):
    """A plain model and an adopted twin, before and after one epoch of both."""
    name = request.param
    if name == "dense" and keras.backend.backend() == "torch":
        pytest.skip("Keras's sparse cross-entropy of maps has no gradient on PyTorch, in any model")
    plain, twin = build(name), build(name)
    x, y = data(name, plain)
    adopted = mtl.MultiTaskModel.from_keras(twin)
    before = [
        by_name(plain, plain.predict(x, verbose=0), y),
        adopted.predict(x, verbose=0),
    ]
    logs = [fit(plain, x, as_outputs(plain, y)), fit(adopted, x, y)]
    return name, plain, twin, adopted, x, y, before, logs


class TestSameModel:
    def test_predictions(self, pair):
        *_, (plain, adopted), _ = pair
        assert plain.keys() == adopted.keys()
        for task in plain:
            np.testing.assert_allclose(plain[task], adopted[task], rtol=0, atol=1e-6)

    def test_an_epoch_gives_the_same_weights(self, pair):
        name, plain, twin, *_ = pair
        # Elsewhere the losses of 14 tasks add up in another order, which Adam's division enlarges.
        rounded = name == "table" and keras.backend.backend() != "tensorflow"
        same_weights(plain, twin, 1e-5 if rounded else 1e-6)

    def test_logs_are_those_of_the_plain_model(self, pair):
        *_, (plain, adopted) = pair
        for name, value in plain.items():
            name = name if len(plain) > 2 or name == "loss" else f"digit_{name}"
            if name.endswith("_loss") and keras.backend.backend() == "tensorflow":
                continue  # Keras averages batches of different sizes alike there
            np.testing.assert_allclose(adopted[name], value, rtol=1e-5, err_msg=name)

    def test_nothing_is_added(self, pair):
        _, plain, _, adopted, *_ = pair
        trained = [tuple(w.shape) for w in adopted.trainable_variables]
        assert sorted(trained) == sorted(tuple(w.shape) for w in plain.trainable_variables)

    def test_partial_labels_saved_loaded_and_continued(self, pair, tmp_path):
        _, _, _, adopted, x, y, *_ = pair
        history = fit(adopted, x, missing(y))
        assert all(np.isfinite(values).all() for values in history.values())
        adopted.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        found = loaded.predict(x, verbose=0)
        for task, values in adopted.predict(x, verbose=0).items():
            np.testing.assert_allclose(found[task], values, atol=1e-6)
        fit(adopted, x, y), fit(loaded, x, y)
        same_weights(adopted, loaded)

    def test_missing_labels_have_no_effect(self, pair):
        _, _, _, adopted, x, y, *_ = pair
        partial = missing(y)
        scores = adopted.evaluate(x, partial, verbose=0, return_dict=True)
        for task, labels in partial.items():
            flat = labels.reshape(len(labels), -1)
            gone = np.isnan(flat) if flat.dtype.kind == "f" else flat == -1
            there = ~gone.any(axis=1)
            alone = adopted.evaluate(
                keras.tree.map_structure(lambda v, rows=there: v[rows], x),
                {task: y[task][there]},
                verbose=0,
                return_dict=True,
            )
            np.testing.assert_allclose(
                scores[f"{task}_loss"], alone[f"{task}_loss"], rtol=1e-5, err_msg=task
            )
            break

    def test_decoded(self, pair):
        name, _, _, adopted, x, y, *_ = pair
        decoded = adopted.predict_tasks(x, verbose=0)
        for task, kind in MODELS[name][1].items():
            found = decoded[task]
            if isinstance(kind, int | str):
                classes = int(kind)
                assert found["label"].shape == (40,) and found["label"].max() < classes
                assert found["probability"].shape == (40, classes)
                np.testing.assert_allclose(found["probability"].sum(axis=1), 1, atol=1e-5)
            elif len(kind) == 2 and isinstance(kind[1], tuple):
                assert found["label"].shape == y[task].shape
            else:
                assert found["value"].reshape(-1).shape == y[task].reshape(-1).shape
