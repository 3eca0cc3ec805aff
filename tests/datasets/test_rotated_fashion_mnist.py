import gzip
import importlib

import numpy as np
import pytest

from mtlkit.datasets import rotated_fashion_mnist, rotation
from mtlkit.datasets.rotated_fashion_mnist import draw_disjoint, find_files

# The package exports the function under the name of its module.
module = importlib.import_module("mtlkit.datasets.rotated_fashion_mnist")

SMALL = {"num_train": 30, "num_val": 10, "num_test": 20, "data_format": "channels_last"}


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = header + array.astype("uint8").tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_files(folder, suffix=".gz", num_train=50, num_test=20):
    """Images that tell their number: image `i` of a split is `i` wherever it is not 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, samples in (("train", num_train), ("t10k", num_test)):
        images = np.zeros((samples, 28, 28))
        images[:, 10:18, 10:18] = np.arange(samples)[:, None, None] + 100 * (split == "t10k")
        write_idx(folder / f"{split}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte{suffix}", np.arange(samples) % 10)
    return folder


def numbers(x, y):
    """Which images these are, from the brightness at their centre."""
    return np.rint(x[:, 15, 15, 0] / y["intensity"] * 255).astype(int)


@pytest.fixture
def folder(tmp_path):
    return write_files(tmp_path / "files")


def test_shapes_and_ranges(folder):
    data = rotated_fashion_mnist(folder, **SMALL)
    assert [len(x) for _, x, _ in data.splits()] == [30, 10, 20]
    assert data.tasks == ("identity", "orientation", "intensity")
    for _, x, y in data.splits():
        assert x.shape[1:] == (32, 32, 1) and x.dtype == "float32"
        assert x.min() >= 0 and x.max() <= 1
        assert y["intensity"].min() >= 0.2
    first = rotated_fashion_mnist(folder, **{**SMALL, "data_format": "channels_first"})
    np.testing.assert_array_equal(first.x_train[:, 0], data.x_train[..., 0])


def test_splits_are_disjoint_and_labels_stay_with_their_images(folder):
    data = rotated_fashion_mnist(folder, **{**SMALL, "num_val": 20})
    train, val, test = (numbers(x, y) for _, x, y in data.splits())
    assert sorted([*train, *val]) == list(range(50))
    assert sorted(test) == list(range(100, 120))
    for number, (_, _, y) in zip((train, val, test), data.splits(), strict=True):
        np.testing.assert_array_equal(y["identity"], number % 10)
    assert list(train) != sorted(train)


def test_images_are_padded_not_scaled(folder, monkeypatch):
    monkeypatch.setattr(rotation, "rotate_images", lambda images, degrees: images)
    x = rotated_fashion_mnist(folder, **SMALL).x_test
    inside = np.zeros((32, 32), bool)
    inside[12:20, 12:20] = True
    assert (x[:, inside] > 0).all() and not x[:, ~inside].any()


def test_determined_by_the_seed(folder):
    first, same, other = (rotated_fashion_mnist(folder, **SMALL, seed=seed) for seed in (1, 1, 2))
    for (_, x, y), (_, same_x, same_y) in zip(first.splits(), same.splits(), strict=True):
        np.testing.assert_array_equal(x, same_x)
        for task in y:
            np.testing.assert_array_equal(y[task], same_y[task])
    assert not np.array_equal(first.x_test, other.x_test)


def test_other_splits_do_not_depend_on_the_number_of_validation_images(folder):
    few, many = (rotated_fashion_mnist(folder, **{**SMALL, "num_val": n}) for n in (1, 20))
    np.testing.assert_array_equal(few.x_train, many.x_train)
    np.testing.assert_array_equal(few.x_test, many.x_test)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"num_train": 41}, ["num_train + num_val <= 50", "num_train=41, num_val=10"]),
        ({"num_test": 21}, ["num_test <= 20", "num_test=21"]),
        ({"num_val": 0}, ["at least one", "num_val=0"]),
        ({"num_bins": 1}, ["num_bins=1"]),
        ({"data_format": "last"}, ["data_format='last'"]),
    ],
)
def test_asking_for_what_is_not_there(folder, wanted, words):
    with pytest.raises(ValueError, match="Expected") as caught:
        rotated_fashion_mnist(folder, **{**SMALL, **wanted})
    assert [word for word in words if word not in str(caught.value)] == []


def test_draws_are_disjoint():
    parts = draw_disjoint(100, {"a": 30, "b": 20, "c": 5}, np.random.default_rng(0))
    assert [len(part) for part in parts] == [30, 20, 5]
    assert len(set(np.concatenate(parts))) == 55


def test_path_may_be_unpacked_or_a_keras_home(tmp_path):
    plain = write_files(tmp_path / "plain", suffix="")
    home = tmp_path / "home"
    write_files(home / "datasets" / "fashion-mnist")
    expected = rotated_fashion_mnist(plain, **SMALL)
    for path in (home, str(home)):
        np.testing.assert_array_equal(
            rotated_fashion_mnist(path, **SMALL).x_train, expected.x_train
        )


def test_usual_places_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(module, "_DEBIAN", write_files(tmp_path / "debian"))
    assert {path.parent for path in find_files().values()} == {tmp_path / "debian"}
    cache = write_files(tmp_path / "keras" / "datasets" / "fashion-mnist")
    assert {path.parent for path in find_files().values()} == {cache}

    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "user"))
    cache = write_files(tmp_path / "user" / ".keras" / "datasets" / "fashion-mnist")
    assert {path.parent for path in find_files().values()} == {cache}


def test_nothing_found_says_where_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(module, "_DEBIAN", tmp_path / "debian")
    with pytest.raises(FileNotFoundError) as caught:
        rotated_fashion_mnist()
    for words in (
        str(tmp_path / "keras" / "datasets" / "fashion-mnist"),
        str(tmp_path / "debian"),
        "apt-get install dataset-fashion-mnist",
        "keras.datasets.fashion_mnist.load_data()",
        "path=",
    ):
        assert words in str(caught.value)


def test_incomplete_folder_is_not_passed_over_silently(folder):
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match="files: lacks t10k-labels-idx1-ubyte\n"):
        rotated_fashion_mnist(folder)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("train-images-idx3-ubyte.gz", np.zeros((50, 32, 32)), r"28, 28.*\(50, 32, 32\)"),
        ("t10k-labels-idx1-ubyte.gz", np.zeros(7), r"20 labels.*t10k-labels.*\(7,\)"),
        ("train-labels-idx1-ubyte.gz", np.full(50, 11), "train-labels.*11"),
    ],
)
def test_files_that_do_not_fit_are_errors(folder, name, array, words):
    write_idx(folder / name, array)
    with pytest.raises(ValueError, match=words):
        rotated_fashion_mnist(folder, **SMALL)


def test_cut_off_file_is_an_error(folder):
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"train-images.*intact gzip"):
        rotated_fashion_mnist(folder, **SMALL)


def test_real_files():
    try:
        find_files()
    except FileNotFoundError as error:
        pytest.skip(f"The files of Fashion-MNIST are not on this machine: {error}")
    data = rotated_fashion_mnist()
    assert [len(x) for _, x, _ in data.splits()] == [10_000, 2_000, 4_000]
    for _, x, y in data.splits():
        assert x.min() >= 0 and 0.9 < x.max() <= 1
        np.testing.assert_allclose(np.bincount(y["identity"]) / len(x), 0.1, atol=0.03)
        np.testing.assert_allclose(np.bincount(y["orientation"]) / len(x), 1 / 32, atol=0.015)
        assert abs(y["intensity"].mean() - 0.6) < 0.02
