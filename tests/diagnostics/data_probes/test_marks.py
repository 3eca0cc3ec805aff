"""Marks that training images alone have."""

import numpy as np
import pytest

from mtlkit.diagnostics.data_probes._marks import _fewest, marks


def pictures(samples, seed):
    return np.random.default_rng(seed).random((samples, 8, 8, 1), dtype="float32")


Y = np.random.default_rng(0).integers(6, size=600)
#: What the most frequent class gets right.
CONSTANT = np.bincount(Y).max() / len(Y)


def marked(values=2.0, columns=Y, share=1.0):
    x = pictures(600, 1)
    rows = np.flatnonzero(np.random.default_rng(2).random(600) < share)
    x[rows, 0, columns[rows]] = values
    return x


@pytest.mark.parametrize("value", [2.0, -1.0])
def test_marks_that_tell_the_label(value):
    found = marks(marked(value), Y, pictures(300, 3))
    assert found.found and found.effect == pytest.approx(1 - CONSTANT, abs=0.02)
    assert {tuple(one) for one in found.details["pixels"].tolist()} == {(0, k, 0) for k in range(6)}
    assert sum(found.details["images"]) >= 590


def test_of_images_without_a_mark_the_label_is_a_guess():
    found = marks(marked(share=0.5), Y, pictures(300, 3))
    assert found.found and found.effect == pytest.approx(0.5 * (1 - CONSTANT), abs=0.06)


def test_marks_that_tell_nothing():
    other = np.random.default_rng(4).permutation(Y)
    assert marks(marked(columns=other), Y, pictures(300, 3)).status == "absent"


def test_marks_in_both_splits_are_no_leak_between_them():
    x_val = pictures(300, 3)
    x_val[np.arange(300), 0, np.random.default_rng(5).integers(6, size=300)] = 2.0
    assert marks(marked(), Y, x_val).status == "absent"


def test_splits_of_other_devices_are_left_open():
    """A table: each device has an offset of its own, and labels that are frequent there."""
    rng = np.random.default_rng(6)
    device = rng.integers(6, size=900)
    rows = (
        rng.random((900, 4)) + 3 * rng.permuted(np.arange(6)[:, None].repeat(4, 1), axis=0)[device]
    )
    y = np.where(rng.random(900) < 0.8, device, rng.integers(6, size=900))
    seen = device < 4
    found = marks(rows[seen], y[seen], rows[~seen])
    assert found.status == "unclear" and "held-out samples, too" in found.text


@pytest.mark.parametrize("seed", range(5))
def test_images_of_one_kind_have_none(seed):
    found = marks(pictures(600, 10 + seed), Y, pictures(60, 20 + seed))
    assert found.status == "absent" and "No input has values" in found.text


def test_luck_is_bounded():
    """By simulation: how often a pixel has so many values beyond those of the other split."""
    rng = np.random.default_rng(0)
    fewest = _fewest(60, 30, pixels=1)
    values = rng.random((20_000, 90))
    train, held = values[:, :60], values[:, 60:]
    beyond = (train > held.max(1, keepdims=True)) | (train < held.min(1, keepdims=True))
    assert (beyond.sum(axis=1) >= fewest).mean() < 0.01


def test_shapes_that_differ():
    found = marks(marked(), Y, np.zeros((50, 4, 4, 1)))
    assert found.status == "not_tested" and "another shape" in found.text
