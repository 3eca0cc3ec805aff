import sys

import keras
import numpy as np
import pytest

from mtlkit.diagnostics import _model_steps, diagnose

layers = keras.layers
SAMPLES = 240


def of_columns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, 6)).astype("float32")
    y = (x[:, 0] + x[:, 1] > 0).astype("int64")
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(1, "sigmoid")]
    )
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    return model, x, y


def of_one_hot_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, 6)).astype("float32")
    y = np.eye(3)[np.digitize(x[:, 0], [-0.5, 0.5])]
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(3, "softmax")]
    )
    model.compile(keras.optimizers.Adam(0.02), "categorical_crossentropy")
    return model, x, y


def of_sequences():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=SAMPLES)
    x = rng.normal(size=(SAMPLES, 16, 2)).astype("float32")
    x[y == 1, 4:8, 1] += 3
    model = keras.Sequential([keras.Input((16, 2)), layers.GRU(8), layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss)
    return model, x, y


def of_tokens():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=SAMPLES)
    x = rng.integers(1, 50, (SAMPLES, 12))
    x[y == 1, :3] = 7
    model = keras.Sequential(
        [
            keras.Input((12,), dtype="int32"),
            layers.Embedding(50, 8),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2, "softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    return model, x, y


def of_values():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, 6)).astype("float32")
    y = (3 * x[:, 0] + 0.1 * rng.normal(size=SAMPLES)).astype("float32")
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.02), "mse")
    return model, x, y


MAKERS = {
    "columns": of_columns,
    "one-hot rows": of_one_hot_rows,
    "sequences": of_sequences,
    "tokens": of_tokens,
    "values": of_values,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_models_and_inputs_of_any_kind(kind, monkeypatch):
    # However slow the machine is, all probes are run, if only for a few steps.
    monkeypatch.setattr(_model_steps, "LEAST_SECONDS", 1.0)
    monkeypatch.setattr(_model_steps, "_LONGER", ())
    keras.utils.set_random_seed(0)
    model, x, y = MAKERS[kind]()
    model.fit(x[:180], y[:180], epochs=3, batch_size=32, verbose=0)
    before = model.get_weights()
    held = (x[180:], y[180:])
    found = diagnose(model, x[:180], y[:180], validation_data=held, budget=20, verbose=0)
    assert found.evidence["signal"].found
    assert found.evidence["model_gap"].status != "not_tested"
    assert "symmetry" not in found.evidence and "resolution" not in found.evidence
    data = {"uniform_noise", "structured_noise", "ambiguity", "class_overlap", "no_signal"}
    assert not data & {cause.name for cause in found.verdict.causes}
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_several_inputs_and_outputs(monkeypatch):
    for module in (_model_steps, sys.modules["mtlkit.diagnostics.diagnose"]):
        monkeypatch.setattr(module, "LEAST_WITH_TRAINING", 2.0)
    monkeypatch.setattr(_model_steps, "LEAST_SECONDS", 1.0)
    monkeypatch.setattr(_model_steps, "_LONGER", ())
    rng = np.random.default_rng(0)
    x = {"a": rng.normal(size=(SAMPLES, 4)), "b": rng.normal(size=(SAMPLES, 8, 8, 1))}
    y = {"left": (x["a"][:, 0] > 0).astype(int), "size": x["b"].mean(axis=(1, 2, 3))}
    inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((8, 8, 1), name="b")}
    joined = layers.Concatenate()([inputs["a"], layers.Flatten()(inputs["b"])])
    hidden = layers.Dense(8, "relu")(joined)
    outputs = {
        "left": layers.Dense(2, "softmax", name="left")(hidden),
        "size": layers.Dense(1, name="size")(hidden),
    }
    model = keras.Model(inputs, outputs)
    losses = {"left": "sparse_categorical_crossentropy", "size": "mse"}
    model.compile("adam", losses)
    model.fit(x, y, epochs=2, verbose=0)
    found = diagnose(model, x, y, "left", budget=20, verbose=0)
    assert found.evidence["signal"].found and "model_gap" in found.evidence
    assert "preflight" in found.setup


def test_features_that_tell_more_are_the_cause(monkeypatch):
    monkeypatch.setattr(_model_steps, "LEAST_SECONDS", 1.0)
    monkeypatch.setattr(_model_steps, "_LONGER", ())
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=400)
    x = rng.normal(size=(400, 6)).astype("float32")
    x[:, 0] += 0.7 * y
    features = np.eye(4)[y] + 0.2 * rng.normal(size=(400, 4))
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(4)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss)
    model.fit(x[:300], y[:300], epochs=5, verbose=0)
    found = diagnose(
        model,
        x[:300],
        y[:300],
        validation_data=(x[300:], y[300:]),
        features=(features[:300], features[300:]),
        class_names=["a", "b", "c", "d"],
        budget=25,
        verbose=0,
    )
    assert found.evidence["weak_features"].found
    assert "weak_features" in {cause.name for cause in found.verdict.causes}
    assert found.setup["class_names"] == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match=r"Expected features of shape \(300, numbers\)"):
        diagnose(model, x[:300], y[:300], features=features, verbose=0)


def test_interrupted(monkeypatch, capsys):
    room = sys.modules["mtlkit.diagnostics._data_steps"]

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setitem(room.OF_LABELS, "ambiguity", interrupt)
    model, x, y = of_columns()
    model.fit(x, y, verbose=0)
    found = diagnose(model, x, y, budget=10)
    assert found.setup["interrupted"] and found.evidence["signal"].found
    assert "Interrupted: 7 of" in capsys.readouterr().out
    for name in ("ambiguity", "class_overlap", "model_gap"):
        assert found.evidence[name].status == "not_tested"
    assert found.verdict.limit == "undetermined" and "interrupted" in found.verdict.sentence


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (keras.layers.Dense(3), "Expected a compiled keras.Model or a mtlkit.MultiTaskModel"),
        (keras.Sequential([keras.Input((6,)), layers.Dense(2)]), "(?s)not.*Compile it: model.comp"),
    ],
)
def test_what_cannot_be_diagnosed(model, message):
    _, x, y = of_columns()
    with pytest.raises(ValueError, match=message):
        diagnose(model, x, y)
