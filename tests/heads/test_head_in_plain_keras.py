"""Heads without the rest of the library: plain `keras.Model`, `compile` and `fit`."""

import keras
import numpy as np
import pytest
from keras import ops

from mtlkit.heads import ClassificationHead, OrientationHead, RegressionHead

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 6, 6, 2)).astype("float32")
THERE = np.arange(12) % 3 != 0
CLASSES = RNG.integers(4, size=12)
VALUES = RNG.normal(size=(12, 1)).astype("float32")

# Heads, complete labels, and what Keras itself calls their loss and first metric.
HEADS = [
    pytest.param(
        lambda: ClassificationHead(4, hidden_units=5, name="head"),
        CLASSES,
        lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        lambda: keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
        id="classification",
    ),
    pytest.param(
        lambda: OrientationHead(
            4, filters=(3,), hidden_units=5, dropout=0.0, jitter=0.0, name="head"
        ),
        CLASSES,
        lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        lambda: keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
        id="orientation",
    ),
    pytest.param(
        lambda: RegressionHead(hidden_units=5, name="head"),
        VALUES,
        keras.losses.MeanSquaredError,
        lambda: keras.metrics.MeanAbsoluteError(name="mae"),
        id="regression",
    ),
]


def model_of(head):
    image = keras.Input(X.shape[1:])
    return keras.Model(image, head(image))


def partly(y):
    y = y.copy()
    y[~THERE] = -1 if y.dtype.kind == "i" else np.nan
    return y


@pytest.mark.parametrize(("make", "y", "plain_loss", "plain_metric"), HEADS)
def test_missing_labels_train_as_if_the_samples_were_not_there(make, y, plain_loss, plain_metric):
    """The same weights, loss and metric as plain Keras on the labelled samples alone."""
    model, plain = model_of(make()), model_of(make())
    plain.set_weights(model.get_weights())
    head = model.get_layer("head")
    model.compile(
        keras.optimizers.SGD(0.1), loss=head.default_loss(), metrics=head.default_metrics()
    )
    plain.compile(keras.optimizers.SGD(0.1), loss=plain_loss(), metrics=[plain_metric()])
    fit = {"batch_size": 12, "epochs": 3, "shuffle": False, "verbose": 0}
    history = model.fit(X, partly(y), validation_data=(X, y), **fit).history
    expected = plain.fit(X[THERE], y[THERE], **fit).history
    assert set(expected) < set(history)
    for name, values in expected.items():
        assert history[name] == pytest.approx(values, rel=1e-4, abs=1e-5), name
    for found, wanted in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert {f"val_{metric.name}" for metric in head.default_metrics()} < set(history)
    assert np.isfinite(history["val_loss"]).all()


def test_two_heads_in_a_plain_model():
    image = keras.Input(X.shape[1:])
    features = keras.layers.Conv2D(3, 3, activation="relu")(image)
    kind = ClassificationHead(4, hidden_units=5, name="kind")
    size = RegressionHead(hidden_units=5, name="size")
    model = keras.Model(image, {"kind": kind(features), "size": size(features)})
    model.compile(
        "adam",
        loss={"kind": kind.default_loss(), "size": size.default_loss()},
        metrics={"kind": kind.default_metrics(), "size": size.default_metrics()},
    )
    y = {"kind": partly(CLASSES), "size": np.full_like(VALUES, np.nan)}
    size_before, kind_before = size.get_weights(), kind.get_weights()
    history = model.fit(X, y, batch_size=12, verbose=0).history
    assert history["size_loss"] == [0.0] and np.isnan(history["size_mae"][0])
    assert history["kind_loss"][0] == pytest.approx(history["loss"][0])
    for before, after in zip(size_before, size.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert any((a != b).any() for a, b in zip(kind_before, kind.get_weights(), strict=True))


@pytest.mark.parametrize(("make", "y", "plain_loss", "plain_metric"), HEADS[1:])
def test_saved_model_is_compiled_again(make, y, plain_loss, plain_metric, tmp_path):
    model = model_of(make())
    head = model.get_layer("head")
    model.compile("adam", loss=head.default_loss(), metrics=head.default_metrics())
    model.fit(X, partly(y), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    scores = model.evaluate(X, partly(y), verbose=0, return_dict=True)
    assert loaded.evaluate(X, partly(y), verbose=0, return_dict=True) == pytest.approx(scores)
    decoded = [m.get_layer("head").decode(m.predict(X, verbose=0)) for m in (model, loaded)]
    for name, array in decoded[0].items():
        np.testing.assert_allclose(decoded[1][name], array, rtol=1e-5, atol=1e-6)


def test_sequential():
    model = keras.Sequential(
        [keras.Input((6, 6, 2)), keras.layers.Flatten(), ClassificationHead(4, hidden_units=0)]
    )
    outputs = model.predict(X, verbose=0)
    assert outputs.shape == (12, 4) and outputs.dtype == "float32"
    assert ops.shape(model(X)) == (12, 4)
