from collections import Counter

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from mtlkit.datasets import _rotated_splits as rotated_splits
from mtlkit.datasets import rotated_digits
from mtlkit.datasets.rotated_digits import enlarge, split_scans


@pytest.fixture(scope="module")
def data():
    return rotated_digits(copies=2, data_format="channels_last")


def test_shapes_and_ranges(data):
    assert [len(x) for _, x, _ in data.splits()] == [2194, 200, 500]
    assert data.tasks == ("identity", "orientation", "intensity")
    for _, x, y in data.splits():
        assert x.shape[1:] == (32, 32, 1) and x.dtype == "float32"
        assert x.min() >= 0 and 0.8 < x.max() <= 1
        assert set(y["identity"]) == set(range(10))
        assert set(y["orientation"]) <= set(range(32))


def test_summary_mentions_the_baselines(data):
    text = data.summary()
    assert "chance 3.1 %" in text and "10 classes" in text and "constant 0.589: MAE 0.199" in text


def test_default_number_of_copies():
    assert len(rotated_digits().x_train) == 8 * 1097


@pytest.mark.parametrize("seed", range(3))
def test_no_scan_is_in_two_splits(seed):
    scans = split_scans(np.random.default_rng(seed))
    assert list(scans) == ["train", "val", "test"]
    together = np.concatenate(list(scans.values()))
    np.testing.assert_array_equal(np.sort(together), np.arange(1797))


def upright_tasks(images, identity, rng, num_bins):
    """Stands in for `rotated_tasks` and leaves the images as they are."""
    return images, {"identity": identity}


def test_copies_of_a_scan_stay_in_one_split(monkeypatch):
    monkeypatch.setattr(rotated_splits, "rotated_tasks", upright_tasks)
    data = rotated_digits(copies=3, seed=5)
    found = {split: Counter(map(bytes, np.ascontiguousarray(x))) for split, x, _ in data.splits()}
    assert set(found["train"].values()) == {3}
    assert set(found["val"].values()) == set(found["test"].values()) == {1}
    upright = set(map(bytes, enlarge(load_digits().images / 16)))
    assert len(upright) == 1797  # no two scans look alike, so a picture stands for its scan
    assert [len(counts) for counts in found.values()] == [1097, 200, 500]
    assert set().union(*found.values()) == upright


def test_copies_differ_in_angle_and_amplitude(data):
    assert len(np.unique(data.y_train["intensity"])) > 2100
    assert len(np.unique(data.x_train, axis=0)) == 2194


def test_identity_is_the_digit(monkeypatch):
    monkeypatch.setattr(rotated_splits, "rotated_tasks", upright_tasks)
    digits = load_digits()
    names = dict(zip(map(bytes, enlarge(digits.images / 16)), digits.target, strict=True))
    for _, x, y in rotated_digits(copies=2).splits():
        assert [names[bytes(image)] for image in x] == y["identity"].tolist()


def test_determined_by_the_seed():
    first, same, other = (rotated_digits(copies=1, seed=seed) for seed in (3, 3, 4))
    for (_, x, y), (_, same_x, same_y) in zip(first.splits(), same.splits(), strict=True):
        np.testing.assert_array_equal(x, same_x)
        for task in y:
            np.testing.assert_array_equal(y[task], same_y[task])
    assert not np.array_equal(first.x_test, other.x_test)


def test_test_split_does_not_depend_on_copies(data):
    other = rotated_digits(copies=1, data_format="channels_last")
    np.testing.assert_array_equal(data.x_val, other.x_val)
    np.testing.assert_array_equal(data.x_test, other.x_test)


def test_data_formats(data):
    first = rotated_digits(copies=2, data_format="channels_first")
    assert first.x_train.shape == (2194, 1, 32, 32)
    np.testing.assert_array_equal(first.x_test[:, 0], data.x_test[..., 0])
    default = rotated_digits(copies=1).x_test
    last = keras.config.image_data_format() == "channels_last"
    assert default.shape == ((500, 32, 32, 1) if last else (500, 1, 32, 32))


def test_num_bins():
    assert set(rotated_digits(copies=1, num_bins=4).y_train["orientation"]) == set(range(4))


def test_enlarging_interpolates_between_pixel_centres():
    row = np.array([[[0.0, 1.0]]])
    expected = [0, 0, 1 / 8, 3 / 8, 5 / 8, 7 / 8, 1, 1]
    large = enlarge(row)
    assert large.shape == (1, 4, 8) and large.dtype == "float32"
    np.testing.assert_allclose(large[0], np.tile(expected, (4, 1)), atol=1e-6)


@pytest.mark.parametrize(
    ("argument", "value"), [("copies", 0), ("num_bins", 1), ("data_format", "channels_middle")]
)
def test_bad_arguments_are_named(argument, value):
    with pytest.raises(ValueError, match=f"{argument}=.?{value}"):
        rotated_digits(**{argument: value})
