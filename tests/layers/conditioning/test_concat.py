"""ConcatConditioning: the condition as channels."""

import numpy as np
import pytest
from keras import ops

from mtlkit.layers.conditioning import ConcatConditioning

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("middle", [(), (5,), (3, 5)], ids=str)
def test_formula(middle):
    z = RNG.normal(size=(2, *middle, 4)).astype("float32")
    p = RNG.normal(size=(2, 3)).astype("float32")
    found = ops.convert_to_numpy(ConcatConditioning()([z, p]))
    np.testing.assert_array_equal(found[..., :4], z)
    for position in np.ndindex(*middle):
        np.testing.assert_array_equal(found[(slice(None), *position)][:, 4:], p)


def test_nan_stays_where_it_is():
    z = np.full((1, 2, 3), np.nan, "float32")
    found = ops.convert_to_numpy(ConcatConditioning()([z, np.ones((1, 2), "float32")]))
    np.testing.assert_array_equal(found[..., 3:], 1)
