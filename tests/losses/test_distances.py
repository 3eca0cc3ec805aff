"""Distances between bins, and labels as positions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from mtlkit.losses._distances import bin_distance, label_position


def array(x):
    return ops.convert_to_numpy(x)


def test_all_pairs_of_bins():
    """The circle against the shortest of three images, the line against the difference."""
    a, b = np.meshgrid(np.arange(7.0), np.arange(7.0))
    images = np.abs(a - b - np.array([-7, 0, 7])[:, None, None]).min(axis=0)
    np.testing.assert_array_equal(array(bin_distance(a, b, 7)), images)
    np.testing.assert_array_equal(array(bin_distance(a, b, 7, circular=False)), np.abs(a - b))


class TestLabelPosition:
    def test_bins_pass(self):
        for labels in (np.array([3, 0, 7]), np.array([[3], [0], [7]]), [3.0, 0.0, 7.0]):
            found = array(label_position(labels, 8))
            np.testing.assert_array_equal(found, [3, 0, 7])
            assert found.dtype == "float32"

    @pytest.mark.parametrize("period", [90, 180, 360.0, 1.0])
    @given(turn=st.floats(-3, 3))
    def test_degrees(self, period, turn):
        found = array(label_position(np.array([turn * period], "float32"), 32, period))[0]
        gap = (found - turn * 32 + 16) % 32 - 16
        assert abs(gap) < 1e-4 and 0 <= found <= 32

    def test_quarter_turns(self):
        found = label_position([0.0, 90.0, -90.0, 450.0], 32, 360)
        np.testing.assert_array_equal(array(found), [0, 8, 24, 8])
