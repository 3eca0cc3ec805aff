"""Learning rates of heads and of the backbone, as multiples of the optimizer's."""

import copy

import keras
import numpy as np
import pytest
from keras import ops

import mtlkit as mtl
from mtlkit.testing import gradients

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 5)).astype("float32")
Y = {"kind": np.arange(32) % 3, "size": (X[:, :1] * 3).astype("float32")}
#: With a large epsilon: the rounding of small gradients is else a step of full size.
OPTIMIZERS = {
    "SGD": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
    "Adam": lambda rate: keras.optimizers.Adam(rate, epsilon=1e-3),
    "AdamW": lambda rate: keras.optimizers.AdamW(rate, weight_decay=0.1, epsilon=1e-3),
    "RMSprop": lambda rate: keras.optimizers.RMSprop(rate, epsilon=1e-3),
}


def build(kind=1.0, backbone=1.0):
    keras.utils.set_random_seed(0)
    trunk = keras.Sequential([keras.Input((5,)), keras.layers.Dense(6, activation="relu")])
    tasks = [
        mtl.Task(
            "kind",
            mtl.heads.ClassificationHead(3, hidden_units=4),
            learning_rate_multiplier=kind,
            condition_on="size",
        ),
        mtl.Task("size", mtl.heads.RegressionHead(hidden_units=0, standardize=False)),
    ]
    return mtl.MultiTaskModel(trunk, tasks, backbone_learning_rate_multiplier=backbone)


def parts_of(model):
    """The trained variables: of the backbone, of the head with a rate of its own, of the other."""
    own = model.tasks["kind"].head.trainable_variables  # with its conditioning
    return model.backbone.trainable_variables, own, model.tasks["size"].head.trainable_variables


def weights_of(model):
    return [np.array(ops.convert_to_numpy(v)) for part in parts_of(model) for v in part]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_as_with_an_optimizer_for_each_part(name):
    model, by_hand = build(kind=5.0, backbone=0.1), build()
    model.compile(OPTIMIZERS[name](1e-2))
    by_hand.compile("sgd")
    rates = (1e-3, 5e-2, 1e-2)
    optimizers = [OPTIMIZERS[name](rate) for rate in rates]
    for step in range(4):
        rows = slice(8 * step, 8 * step + 8)
        y = {task: labels[rows] for task, labels in Y.items()}
        model.train_on_batch(X[rows], y)

        def loss(rows=rows, y=y):
            outputs = by_hand(X[rows], training=True)
            return by_hand.compute_loss(X[rows], y, outputs)

        parts = parts_of(by_hand)
        found = iter(gradients(loss, [v for part in parts for v in part]))
        for optimizer, part in zip(optimizers, parts, strict=True):
            optimizer.apply([ops.convert_to_tensor(next(found)) for _ in part], part)
    for found, wanted in zip(weights_of(model), weights_of(by_hand), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_part_of_rate_zero_stays(tmp_path):
    model = build(kind=0.0)
    model.compile(keras.optimizers.AdamW(0.01))
    before = [np.array(ops.convert_to_numpy(v)) for v in parts_of(model)[1]]
    model.fit(X, Y, verbose=0)
    for old, new in zip(before, parts_of(model)[1], strict=True):
        np.testing.assert_array_equal(old, ops.convert_to_numpy(new))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    again.fit(X, Y, verbose=0)
    for old, new in zip(before, parts_of(again)[1], strict=True):
        np.testing.assert_array_equal(old, ops.convert_to_numpy(new))


def test_they_are_saved_and_training_goes_on(tmp_path):
    straight, stopped = build(kind=5.0, backbone=0.1), build(kind=5.0, backbone=0.1)
    for model in (straight, stopped):
        model.compile(keras.optimizers.Adam(1e-2))
        model.fit(X, Y, shuffle=False, verbose=0)
    stopped.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.backbone_learning_rate_multiplier == 0.1
    assert again.tasks["kind"].learning_rate_multiplier == 5.0
    for model in (straight, again):
        model.fit(X, Y, shuffle=False, verbose=0)
    for found, wanted in zip(weights_of(again), weights_of(straight), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_other_heads_keep_the_rate_of_the_backbone():
    model = build(backbone=0.1).with_head("size", mtl.heads.RegressionHead())
    assert model.backbone_learning_rate_multiplier == 0.1


def test_an_optimizer_may_go_to_another_model():
    optimizer = keras.optimizers.SGD(0.1)
    build(kind=0.0).compile(optimizer)
    model = build()
    model.compile(optimizer)
    before = weights_of(model)
    model.fit(X, Y, verbose=0)
    assert all(np.any(a != b) for a, b in zip(before, weights_of(model), strict=True))


def test_a_schedule_is_multiplied_too():
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.1, 0.0])
    model = build(kind=2.0)
    model.compile(keras.optimizers.SGD(rates))
    for _ in range(3):
        model.train_on_batch(X, Y)
    before = weights_of(model)
    model.train_on_batch(X, Y)
    for found, wanted in zip(weights_of(model), before, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("value", [-1.0, np.nan, "fast", None])
def test_bad_multipliers(value):
    with pytest.raises(ValueError, match=r"Task 'kind': expected learning_rate_multiplier"):
        build(kind=value)
    with pytest.raises(ValueError, match=r"^Expected backbone_learning_rate_multiplier"):
        build(backbone=value)


def test_a_copy_of_the_optimizer_is_of_its_own():
    model = build(kind=0.0)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    model.fit(X, Y, verbose=0)
    copied = copy.deepcopy(model.optimizer)
    assert copied._backend_update_step.__self__ is copied


@pytest.mark.parametrize("name", ["Nadam", "Ftrl"])
def test_an_optimizer_that_cannot_do_it(name):
    with pytest.raises(ValueError, match=f"Expected another optimizer.*Received: {name}"):
        build(kind=2.0).compile(getattr(keras.optimizers, name)())


def test_weight_decay_on_several_devices(monkeypatch):
    monkeypatch.setattr("mtlkit.model._learning_rates.num_replicas", lambda: 2)
    build(kind=2.0).compile(keras.optimizers.Adam())
    with pytest.raises(ValueError, match=r"without weight_decay.*Received: weight_decay=0\.004"):
        build(kind=2.0).compile(keras.optimizers.AdamW())
