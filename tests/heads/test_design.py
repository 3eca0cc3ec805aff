"""Design: the place for what another task predicts."""

import keras
import numpy as np
import pytest
from keras import ops

from mtlkit.heads.designs import HistogramDesign, OrbitDesign, PolarDesign, PooledDesign
from mtlkit.testing import gradients, input_gradients

LAST = {"data_format": "channels_last"}
MAP = np.random.default_rng(0).normal(size=(3, 8, 8, 2)).astype("float32")
ORBIT = np.stack([np.rot90(MAP, -k, axes=(1, 2)) for k in range(4)], axis=1)
CONDITION = np.random.default_rng(1).dirichlet(np.ones(5), size=3).astype("float32")

DESIGNS = {
    "pooled": (lambda: PooledDesign(8, "flatten", 6, **LAST), MAP),
    "polar": (lambda: PolarDesign(8, filters=(3,), hidden_units=6, **LAST), MAP),
    "histogram": (lambda: HistogramDesign(8, 6, cells=2, **LAST), MAP),
    "orbit": (lambda: OrbitDesign(8, hidden_units=6, **LAST), ORBIT),
}
every_design = pytest.mark.parametrize(("make", "x"), DESIGNS.values(), ids=DESIGNS)


class Shift(keras.layers.Layer):
    """Adds to all positions what a dense layer makes of the condition."""

    def build(self, input_shape):
        features, condition = input_shape
        self.dense = keras.layers.Dense(features[-1], name="dense")
        self.dense.build(condition)

    def call(self, inputs):
        features, condition = inputs
        between = (1,) * (len(features.shape) - 2)
        shift = self.dense(condition)
        return features + ops.reshape(shift, (-1, *between, shift.shape[-1]))

    def compute_output_shape(self, input_shape):
        return input_shape[0]


def conditioned(make):
    design = make()
    design.conditioning = Shift(name="shift")
    return design


def model(design, x):
    inputs = [keras.Input(x.shape[1:]), keras.Input((5,))]
    return keras.Model(inputs, design(inputs))


@every_design
def test_reads_features_that_saw_the_condition(make, x):
    design = conditioned(make)
    found = ops.convert_to_numpy(design([x, CONDITION]))
    features = design.features(ops.convert_to_tensor(x))
    seen = design.conditioning([features, ops.convert_to_tensor(CONDITION)])
    assert found.shape == (3, 8)
    np.testing.assert_allclose(found, ops.convert_to_numpy(design.read(seen)), atol=1e-6)
    other = ops.convert_to_numpy(design([x, CONDITION[::-1].copy()]))
    assert np.abs(other - found).max() > 1e-4


@every_design
def test_without_effect_the_outputs_are_those_of_the_plain_design(make, x):
    plain, design = make(), conditioned(make)
    expected = ops.convert_to_numpy(plain(x))
    design([x, CONDITION])
    for weight in design.conditioning.weights:
        weight.assign(np.zeros(weight.shape))
    own = [w for w in design.weights if all(w is not v for v in design.conditioning.weights)]
    for weight, value in zip(own, plain.weights, strict=True):
        weight.assign(value)
    np.testing.assert_allclose(ops.convert_to_numpy(design([x, CONDITION])), expected, atol=1e-6)


@every_design
def test_build_makes_all_weights(make, x):
    design = conditioned(make)
    design.build([(None, *x.shape[1:]), (None, 5)])
    before = [weight.path for weight in design.weights]
    assert any("shift/dense" in path for path in before)
    design([x, CONDITION])
    assert [weight.path for weight in design.weights] == before
    shapes = [(None, *x.shape[1:]), (None, 5)]
    assert design.compute_output_shape(shapes) == (None, 8)


@every_design
def test_gradients_reach_everything(make, x):
    design = conditioned(make)
    design([x, CONDITION])
    weights = design.trainable_weights
    cotangent = ops.convert_to_tensor(
        np.random.default_rng(0).normal(size=(3, 8)).astype("float32")
    )

    def value(inputs):
        return ops.sum(design(inputs) * cotangent)

    tensors = [ops.convert_to_tensor(array) for array in (x, CONDITION)]
    for weight, found in zip(weights, gradients(lambda: value(tensors), weights), strict=True):
        assert found.any(), weight.path
    assert all(found.any() for found in input_gradients(value, [x, CONDITION]))


@every_design
def test_saved_weights(make, x, tmp_path):
    """Who sets the conditioning sets it again, and gets its weights back."""
    first, second = (model(conditioned(make), x) for _ in range(2))
    expected = ops.convert_to_numpy(first([x, CONDITION]))
    assert np.abs(ops.convert_to_numpy(second([x, CONDITION])) - expected).max() > 1e-4
    first.save_weights(tmp_path / "model.weights.h5")
    second.load_weights(tmp_path / "model.weights.h5")
    found = ops.convert_to_numpy(second([x, CONDITION]))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_trains_with_an_unknown_batch_size():
    network = model(conditioned(DESIGNS["polar"][0]), MAP)
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = network.fit([MAP, CONDITION], np.array([1, 5, 7]), batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_orbit_stays_equivariant():
    """The condition is that of the image, whichever way it is turned."""
    design = conditioned(DESIGNS["orbit"][0])
    plain = ops.convert_to_numpy(design([ORBIT, CONDITION]))
    turned = ops.convert_to_numpy(design([np.roll(ORBIT, 1, axis=1), CONDITION]))
    np.testing.assert_allclose(turned, np.roll(plain, 2, axis=1), atol=1e-5)
