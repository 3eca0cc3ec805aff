"""Batches whose images turn together with their labels."""

import keras
import numpy as np
import pytest

from mtlkit.datasets import TurnedBatches

RNG = np.random.default_rng(0)


def arrows(directions, first=False):
    """9x9 images with an arrow at so many quarter turns from upright: a point off the centre."""
    images = np.zeros((len(directions), 9, 9, 1), "float32")
    for image, quarter in zip(images, directions, strict=True):
        row, column = [(1, 4), (4, 1), (7, 4), (4, 7)][quarter]
        image[row, column] = 1
    return np.moveaxis(images, -1, 1) if first else images


def direction(images, first=False):
    """The quarter turns of arrows, read back."""
    images = images[:, 0] if first else images[..., 0]
    found = [np.argwhere(image == 1)[0] for image in images]
    return np.array([{(1, 4): 0, (4, 1): 1, (7, 4): 2, (4, 7): 3}[tuple(p)] for p in found])


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("mirror", [False, True])
def test_labels_stay_true(first, mirror):
    quarters = RNG.integers(4, size=50)
    batches = TurnedBatches(
        arrows(quarters, first),
        {"turn": 8 * quarters, "number": np.arange(50)},
        "turn",
        num_bins=32,
        mirror=mirror,
        batch_size=16,
        data_format="channels_first" if first else "channels_last",
    )
    seen, changed = [], 0
    for images, labels in batches:
        np.testing.assert_array_equal(8 * direction(images, first), labels["turn"])
        assert labels["turn"].dtype == quarters.dtype
        changed += np.sum(labels["turn"] != 8 * quarters[labels["number"]])
        seen.extend(labels["number"])
    assert sorted(seen) == list(range(50)) and seen != list(range(50))
    assert 25 < changed < 48  # three in four


def test_mirrored_alone():
    x = RNG.random((40, 6, 6, 1)).astype("float32")
    y = {"turn": RNG.integers(32, size=40), "number": np.arange(40)}
    options = {"quarter_turns": False, "mirror": True, "data_format": "channels_last"}
    images, labels = TurnedBatches(x, y, "turn", num_bins=32, **options)[0]
    flips = 0
    for image, turn, number in zip(images, labels["turn"], labels["number"], strict=True):
        if np.array_equal(image, x[number]):
            assert turn == y["turn"][number]
        else:
            np.testing.assert_array_equal(image, x[number][:, ::-1])
            assert turn == (32 - y["turn"][number]) % 32
            flips += 1
    assert 8 < flips < 32


def test_degrees_and_missing_labels():
    x = np.zeros((40, 4, 4, 1), "float32")
    degrees = np.where(np.arange(40) % 2, 10.0, np.nan).astype("float32")
    y = {"turn": degrees, "odd": np.arange(40) % 2}
    batches = TurnedBatches(x, y, "turn", num_bins=None, data_format="channels_last")
    labels = batches[0][1]
    np.testing.assert_array_equal(np.isnan(labels["turn"]), labels["odd"] == 0)
    assert set(labels["turn"][labels["odd"] == 1]) <= {10.0, 100.0, 190.0, 280.0}
    bins = {"turn": np.where(np.arange(40) % 2, 3, -1), "odd": np.arange(40) % 2}
    labels = TurnedBatches(x, bins, "turn", num_bins=8, data_format="channels_last")[0][1]
    np.testing.assert_array_equal(labels["turn"] == -1, labels["odd"] == 0)


def test_symmetric_objects():
    """With a period of 180 degrees a quarter turn is half of the bins."""
    y = {"turn": np.full(40, 1)}
    options = {"num_bins": 8, "period": 180.0, "data_format": "channels_last"}
    labels = TurnedBatches(np.zeros((40, 4, 4, 1)), y, "turn", **options)[0][1]
    assert set(labels["turn"]) == {1, 5}


def test_epochs_differ_and_seeds_repeat():
    x, y = RNG.random((20, 4, 4, 1)), {"turn": np.zeros(20, "int64")}
    one, two = (
        TurnedBatches(x, y, "turn", num_bins=8, seed=3, data_format="channels_last")
        for _ in range(2)
    )
    np.testing.assert_array_equal(one[0][0], two[0][0])
    before = one[0][0]
    one.on_epoch_end()
    assert not np.array_equal(one[0][0], before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "size"}, r"labels of 'size'\. Received: \['turn'\]"),
        ({"x": np.zeros((4, 6, 8, 1))}, r"square images.*\(4, 6, 8, 1\)"),
        ({"x": np.zeros((5, 6, 6, 1))}, r"each of the 5 images\. Received: \{'turn': 4\}"),
        ({"num_bins": 6}, "whole number. Received: num_bins=6"),
        ({"num_bins": None}, r"degrees \(floats\)\. Received: dtype=int64"),
        ({"y": {"turn": np.zeros(4)}}, r"bins \(signed integers\)\. Received: dtype=float64"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"period": 0}, "period=0"),
    ],
)
def test_errors(changes, message):
    arguments = {
        "x": np.zeros((4, 6, 6, 1)),
        "y": {"turn": np.zeros(4, "int64")},
        "task": "turn",
        "num_bins": 8,
        "data_format": "channels_last",
    }
    with pytest.raises(ValueError, match=message):
        TurnedBatches(**{**arguments, **changes})


def test_index_out_of_range():
    y = {"turn": np.zeros(4, "int64")}
    batches = TurnedBatches(np.zeros((4, 6, 6, 1)), y, "turn", 8, data_format="channels_last")
    with pytest.raises(IndexError, match="0...0. Received: 1"):
        batches[1]
    assert isinstance(batches, keras.utils.PyDataset)
