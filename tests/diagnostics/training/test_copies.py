"""Copies of a user's model."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest
from diagnostics.planted_users import unchanged
from small_models import small_model

import mtlkit as mtl
from mtlkit.diagnostics._training.copies import compiled_like, copy_of, fresh_copy

pytestmark = pytest.mark.every_backend


def predictions(model, images):
    return {name: np.array(model.predict(images, verbose=0)[name]) for name in model.tasks}


@pytest.mark.parametrize("spatial", ["flatten", "polar"])
def test_a_copy_computes_the_same_and_shares_nothing(images, spatial):
    model = small_model(spatial, intensity={"gradient": 0.5, "weight": 3.0})
    weights = model.get_weights()
    copied = copy_of(model)
    before, after = predictions(model, images), predictions(copied, images)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    copied.set_weights([weight + 1 for weight in copied.get_weights()])
    assert unchanged(model, weights)


def test_a_fresh_copy_keeps_settings_and_statistics():
    model = small_model(intensity={"gradient": 0.5})
    model.task_weights["identity"].assign(7.0)
    model._gates["intensity"].scale.assign(0.25)
    fresh = fresh_copy(model, seed=1)
    own, new = model.backbone.normalization, fresh.backbone.normalization
    assert np.array_equal(own.mean, new.mean) and float(new.count) > 0
    assert float(fresh.task_weights["identity"]) == 7
    assert float(fresh._gates["intensity"].scale) == 0.25
    kernel = lambda one: np.array(one.backbone.get_layer("conv1").kernel)  # noqa: E731
    assert not np.array_equal(kernel(fresh), kernel(model))
    assert np.array_equal(kernel(fresh), kernel(fresh_copy(model, seed=1)))
    assert not np.array_equal(kernel(fresh), kernel(fresh_copy(model, seed=2)))


def test_a_frozen_backbone_stays_frozen():
    model = small_model()
    model.freeze_backbone()
    assert not fresh_copy(model, seed=0).backbone.trainable_weights


def test_the_random_state_of_the_user_is_kept():
    model = small_model()
    before, of_numpy = random.getstate(), np.random.get_state()[1].copy()
    fresh_copy(model, seed=3)
    copy_of(model)
    assert random.getstate() == before
    assert np.array_equal(np.random.get_state()[1], of_numpy)


def test_conditioned_tasks_are_copied(images):
    model = small_model(orientation={"condition_on": "identity"})
    before, after = predictions(model, images), predictions(copy_of(model), images)
    assert np.array_equal(before["orientation"], after["orientation"])


def test_losses_of_the_users_own_are_kept():
    def own(y_true, y_pred):
        return keras.ops.mean(y_pred, axis=-1)

    model = small_model(identity={"loss": own})
    assert copy_of(model).tasks["identity"].loss is own
    assert copy_of(model, identity={"loss": None}).tasks["identity"].loss is None


def test_keras_normalization_is_kept(images):
    layer = keras.layers.Normalization(axis=-1)
    layer.adapt(images)
    backbone = keras.Sequential(
        [keras.Input((8, 8, 1)), layer, keras.layers.Conv2D(3, 3, activation="relu")]
    )
    model = mtl.MultiTaskModel(backbone, [mtl.Task("a", mtl.heads.ClassificationHead(2))])
    for copied in (copy_of(model), fresh_copy(model, seed=0)):
        normalised = copied.backbone.layers[0](images)
        assert np.allclose(normalised, layer(images), atol=1e-6)


def test_a_backbone_that_cannot_be_rebuilt_is_named(images):
    class Own(keras.layers.Layer):
        def __init__(self, needed):
            super().__init__()
            self.needed = needed

        def call(self, inputs):
            return inputs

        def get_config(self):
            return {}

    model = mtl.MultiTaskModel(
        Own(1), [mtl.Task("a", mtl.heads.RegressionHead())], input_shape=(8, 8, 1)
    )
    with pytest.raises(ValueError, match="Expected a model that can be rebuilt.*TypeError: "):
        copy_of(model)


def test_the_optimizer_is_copied_with_its_settings():
    model = small_model()
    with pytest.raises(ValueError, match="Expected a model that is compiled"):
        compiled_like(copy_of(model), model)
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9, clipnorm=2.0))
    copied = compiled_like(copy_of(model), model, learning_rate=0.25)
    optimizer = copied.optimizer
    assert isinstance(optimizer, keras.optimizers.SGD) and optimizer is not model.optimizer
    assert (optimizer.momentum, optimizer.clipnorm) == (0.9, 2.0)
    assert np.isclose(float(optimizer.learning_rate), 0.25)
    assert np.isclose(float(model.optimizer.learning_rate), 0.5)


@pytest.mark.parametrize(
    ("balancer", "space"), [(("famo", "gradvac"), "features"), ("gradnorm", "parameters")]
)
def test_a_balancer_is_copied_with_its_state(balancer, space):
    backbone = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    tasks = [mtl.Task(name, mtl.heads.RegressionHead(hidden_units=0)) for name in ("a", "b")]
    model = mtl.MultiTaskModel(backbone, tasks, balancer, balancer_space=space)
    model.compile("sgd")
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    model.fit(x, {"a": x[:, 0], "b": x[:, 1]}, verbose=0)
    copied = copy_of(model)
    assert repr(copied.balancer) == repr(model.balancer)
    assert copied.balancer_space == space
    for one, other in zip(model.get_weights(), copied.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
