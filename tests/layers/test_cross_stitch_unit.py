"""CrossStitchUnit: columns that exchange features."""

import numpy as np
import pytest
from keras import ops

from mtlkit.layers.cross_stitch_unit import CrossStitchUnit
from mtlkit.testing import LayerTestCase

RNG = np.random.default_rng(0)
COLUMNS = RNG.normal(size=(3, 2, 4, 5, 6)).astype("float32")  # columns, batch, height, ...


def first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, -3))


def make(shape, alpha=None, **kwargs):
    unit = CrossStitchUnit(**{"data_format": "channels_last", **kwargs})
    unit.build([shape] * 3)
    if alpha is not None:
        unit.alpha.assign(alpha)
    return unit


def stitched(unit, columns):
    return np.array([ops.convert_to_numpy(y) for y in unit(list(columns))])


class TestContract(LayerTestCase):
    @pytest.mark.parametrize("per_channel", [True, False])
    def test_maps(self, per_channel):
        self.run_layer_test(
            CrossStitchUnit,
            {"self_weight": 0.8, "per_channel": per_channel, "data_format": "channels_first"},
            list(first(COLUMNS)),
            expected_output_shape=[(2, 6, 4, 5)] * 3,
        )

    def test_vectors(self):
        inputs = list(COLUMNS[:2, :, 0, 0])
        self.check_batch_sizes(CrossStitchUnit, {}, inputs)
        self.check_symbolic_call(CrossStitchUnit, {}, inputs)


@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS[:, :, 0], COLUMNS[:, :, 0, 0]], ids=np.ndim)
def test_formula_per_channel(columns):
    alpha = RNG.normal(size=(3, 3, 6))
    expected = np.einsum("tsc,s...c->t...c", alpha, columns.astype("float64"))
    found = stitched(make(columns.shape[1:], alpha), columns)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_formula_of_one_alpha():
    alpha = RNG.normal(size=(3, 3))
    expected = np.tensordot(alpha, COLUMNS.astype("float64"), axes=1)
    found = stitched(make(COLUMNS.shape[1:], alpha, per_channel=False), COLUMNS)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_channels_first():
    alpha = RNG.normal(size=(3, 3, 6))
    expected = stitched(make(COLUMNS.shape[1:], alpha), COLUMNS)
    unit = make(first(COLUMNS).shape[1:], alpha, data_format="channels_first")
    np.testing.assert_allclose(stitched(unit, first(COLUMNS)), first(expected), atol=1e-5)


def test_identity_leaves_columns_alone():
    unit = make(COLUMNS.shape[1:], self_weight=1.0)
    np.testing.assert_array_equal(stitched(unit, COLUMNS), COLUMNS)


@pytest.mark.parametrize("per_channel", [True, False])
def test_initial_alpha(per_channel):
    unit = make(COLUMNS.shape[1:], self_weight=0.9, per_channel=per_channel)
    alpha = ops.convert_to_numpy(unit.alpha)
    assert alpha.shape == ((3, 3, 6) if per_channel else (3, 3))
    np.testing.assert_allclose(alpha[0, 0], 0.9, rtol=1e-6)
    np.testing.assert_allclose(alpha[2, 1], 0.05, rtol=1e-5)
    np.testing.assert_allclose(alpha.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 3)], r"at least two features of one shape.*Received: input_shape"),
        ([(2, 3), (2, 4)], r"at least two features of one shape"),
        ((2, 3), r"at least two features of one shape"),
        ([(2, None)] * 2, r"known number of channels for per_channel=True"),
    ],
    ids=str,
)
def test_bad_shapes(shapes, message):
    with pytest.raises(ValueError, match=message):
        CrossStitchUnit().build(shapes)


@pytest.mark.parametrize("self_weight", [-0.1, 1.1])
def test_bad_weight(self_weight):
    with pytest.raises(ValueError, match=rf"between 0 and 1. Received: self_weight={self_weight}"):
        CrossStitchUnit(self_weight=self_weight)
