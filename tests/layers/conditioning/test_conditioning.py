"""What all conditionings by `[features, condition]` promise."""

import keras
import numpy as np
import pytest
from keras import ops

from mtlkit.layers.conditioning import (
    CONDITIONINGS,
    BilinearConditioning,
    ConcatConditioning,
    ExpertMixtureConditioning,
    FiLM,
    GatedConditioning,
)
from mtlkit.testing import LayerTestCase, input_gradients

RNG = np.random.default_rng(0)
SHAPES = [(3, 4), (3, 6, 4), (3, 2, 5, 4)]
CONDITION = RNG.dirichlet(np.ones(5), size=3).astype("float32")
#: Those that change nothing before they have learnt something.
IDENTITIES = [FiLM, GatedConditioning, ExpertMixtureConditioning, BilinearConditioning]


def features(shape):
    return RNG.normal(size=shape).astype("float32")


class TestContract(LayerTestCase):
    @pytest.mark.parametrize("name", CONDITIONINGS)
    def test_map(self, name):
        channels = 9 if name == "concat" else 4
        self.run_layer_test(
            CONDITIONINGS[name],
            {},
            [features((3, 2, 5, 4)), CONDITION],
            expected_output_shape=(3, 2, 5, channels),
        )

    @pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
    @pytest.mark.parametrize("name", CONDITIONINGS)
    def test_other_ranks(self, name, shape):
        inputs = [features(shape), CONDITION]
        self.check_batch_sizes(CONDITIONINGS[name], {}, inputs)
        self.check_symbolic_call(CONDITIONINGS[name], {}, inputs)
        self.check_gradients(CONDITIONINGS[name], {}, inputs)


def test_names():
    assert {
        "film": FiLM,
        "concat": ConcatConditioning,
        "gate": GatedConditioning,
        "experts": ExpertMixtureConditioning,
        "bilinear": BilinearConditioning,
    } == CONDITIONINGS


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layer", IDENTITIES, ids=lambda cls: cls.__name__)
def test_identity_at_the_start(layer, shape, dtype):
    z = ops.cast(features(shape) * 1e3, dtype)
    outputs = layer(dtype=dtype)([z, CONDITION])
    found, expected = (ops.convert_to_numpy(ops.cast(x, "float32")) for x in (outputs, z))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", CONDITIONINGS)
def test_gradients_are_not_stopped(name):
    """What may learn from the condition is for the caller to decide."""
    layer = CONDITIONINGS[name]()
    layer([features((3, 4)), CONDITION])
    for weight in layer.weights:
        weight.assign(RNG.normal(size=weight.shape))
    found = input_gradients(lambda x: ops.sum(layer(x) ** 2), [features((3, 4)), CONDITION])
    assert all(np.abs(gradient).sum(axis=1).all() for gradient in found)


@pytest.mark.parametrize("name", CONDITIONINGS)
def test_unknown_size_of_the_map(name):
    layer = CONDITIONINGS[name]()
    z, p = keras.Input((None, None, 4)), keras.Input((5,))
    model = keras.Model([z, p], layer([z, p]))
    assert model.predict([features((3, 2, 5, 4)), CONDITION], verbose=0).shape[:3] == (3, 2, 5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 4)], r"Expected \[features, condition\].*Received: input_shape="),
        ([(2, 4), (2, 3), (2, 3)], r"Expected \[features, condition\]"),
        ([(2,), (2, 3)], r"Expected \[features, condition\]"),
        ([(2, None), (2, 3)], r"a known number of channels.*\(2, None\)"),
        ([(2, 4), (2, 3, 1)], r"condition of shape \(batch, n\).*Received: .*\(2, 3, 1\)"),
        ([(2, 4), (2, None)], r"with a known n\. Received: a condition of shape \(2, None\)"),
        ((2, 4), r"Expected \[features, condition\]"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", CONDITIONINGS)
def test_bad_shapes(name, shapes, message):
    with pytest.raises(ValueError, match=message):
        CONDITIONINGS[name]().build(shapes)
