import keras
import numpy as np
import pytest

import mtlkit as mtl
from mtlkit.diagnostics import triage

layers = keras.layers


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 6)).astype("float32")
    y = {
        "easy": (x[:, 0] > 0).astype("int64"),
        "stuck": (x[:, 1] > 0).astype("int64"),
        "noise": rng.integers(2, size=600),
        "size": (5 * x[:, 2]).astype("float32"),
    }
    y["easy"][:100] = -1  # some are missing
    return x, y


@pytest.fixture(scope="module")
def table(data):
    x, y = data
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    hidden = layers.Dense(16, "relu")(inputs)
    outputs = {
        "easy": layers.Dense(2, "softmax", name="easy")(hidden),
        "stuck": layers.Dense(2, "softmax", name="stuck", trainable=False)(
            keras.ops.stop_gradient(0.0 * hidden)
        ),
        "noise": layers.Dense(2, "softmax", name="noise")(hidden),
        "size": layers.Dense(1, name="size")(hidden),
    }
    model = keras.Model(inputs, outputs)
    classes = "sparse_categorical_crossentropy"
    losses = {"easy": classes, "stuck": classes, "noise": classes, "size": "mse"}
    model.compile(keras.optimizers.Adam(0.02), losses)
    model = mtl.MultiTaskModel.from_keras(model)
    model.fit(x[:450], {k: v[:450] for k, v in y.items()}, epochs=20, verbose=0)
    return triage(
        model,
        x[:450],
        {k: v[:450] for k, v in y.items()},
        (x[450:], {k: v[450:] for k, v in y.items()}),
    )


def test_each_task_has_its_limit(table):
    rows = {row.task: row for row in table.rows}
    assert rows["stuck"].limit == "model" and rows["stuck"].gap > 0.5
    assert rows["noise"].limit in ("data", "unknown") and abs(rows["noise"].skill) < 0.3
    assert rows["size"].metric == "mae" and rows["size"].skill > 0.6
    assert rows["easy"].skill > 0.8 and rows["easy"].samples == 150
    assert table.rows[0].task == "stuck"  # the largest gap first
    for row in table.rows:
        low, high = row.interval
        assert low <= row.skill <= high


def test_printed(table):
    text = str(table)
    assert 'diagnose(model, x, y, "stuck"' in text and "skill" in text.splitlines()[0]
    assert table.to_dict()["held_out"] and len(table.to_dict()["rows"]) == 4


def test_without_held_out_samples(data):
    x, y = data
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    found = triage(model, x, y["stuck"])
    assert not found.held_out and "training samples" in str(found)
    assert found.rows[0].gap > 0.2
