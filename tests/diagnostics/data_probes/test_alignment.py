import numpy as np
import pytest
from diagnostics.made_images import blobs

from mtlkit.diagnostics.data_probes import alignment


@pytest.mark.parametrize("offset", [-5, -1, 1, 3])
def test_labels_that_slipped_are_moved_back(offset):
    x, y = blobs(600, 6)
    found = alignment(x, np.roll(y, offset))
    assert found.found and found.details["offset"] == -offset
    assert found.p_value < 1e-6 and found.effect > 0.3


def test_a_series_that_looks_ahead_may_be_meant_to():
    rng = np.random.default_rng(0)
    state = np.zeros(2002)
    for row in range(1, len(state)):
        state[row] = 0.9 * state[row - 1] + rng.normal()
    x = (state[:2000, None] + 0.5 * rng.normal(size=(2000, 4))).astype("float32")
    ahead = np.digitize(state[2:], np.quantile(state, [0.33, 0.67]))
    found = alignment(x, ahead)
    assert found.status == "unclear" and "look ahead or back in time" in found.text
    assert alignment(x, state[2:].astype("float32")).status != "found"
    # Where rows have no order, labels that fit other rows are in the wrong place.
    order = rng.permutation(2000)
    assert alignment(x[order], np.roll(ahead[order], 1)).found


def test_aligned_labels_stay():
    x, y = blobs(600, 7)
    assert alignment(x, y).status == "absent"
    order = np.argsort(y, kind="stable")  # sorted rows fit well at any offset
    assert alignment(x[order], y[order]).status == "absent"


def test_labels_that_nothing_predicts_have_not_slipped():
    x, y = blobs(600, 8)
    assert not alignment(x, np.random.default_rng(0).permutation(y)).found


def test_a_lost_row_moves_those_after_it():
    x, y = blobs(800, 9)
    y = np.concatenate([y[:480], y[481:], y[:1]])
    found = alignment(x, y)
    assert found.found and found.details["offset"] == 1
    assert found.details["block_offsets"] == [0] * 6 + [1] * 4


def test_values_and_several_tasks():
    x, y = blobs(600, 10)
    value = x.mean(axis=(1, 2, 3)) + 0.01 * y
    found = alignment(x, {"place": y, "value": np.roll(value, 2)})
    assert found.found and found.details["task"] == "value" and found.details["offset"] == -2
    assert found.details["tasks"]["place"]["status"] == "absent"


def test_labels_of_more_samples_tell_what_stood_beside_the_images():
    """Of some images at random, and of labels that are missing here and there."""
    x, y = blobs(1200, 11)
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(1200)[:500])
    assert alignment(x[rows], y, rows=rows).status == "absent"
    found = alignment(x[rows], np.roll(y, 1), rows=rows)
    assert found.found and found.details["offset"] == -1
    some = np.where(rng.random(1200) < 0.4, -1, np.roll(y, 1))
    rows = np.flatnonzero(some >= 0)
    found = alignment(x[rows], some, rows=rows)
    assert found.found and found.details["offset"] == -1 and found.effect > 0.3
    value = np.where(some < 0, np.nan, np.roll(x.mean(axis=(1, 2, 3)) + 0.01 * y, 1))
    assert alignment(x[rows], value, rows=rows).details["offset"] == -1


def test_labels_with_no_other_nearby():
    x, y = blobs(600, 12)
    rows = np.arange(0, 600, 6)
    sparse = np.where(np.arange(600) % 6, -1, y)
    found = alignment(x[rows], sparse, rows=rows)
    assert found.status == "not_tested" and "within 5 rows" in found.text
