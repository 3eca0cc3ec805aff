import warnings

import numpy as np
import pandas
import pytest
from PIL import Image

from mtlkit.datasets import load_image_folder


@pytest.fixture
def folder(tmp_path):
    """12 images of 4x6 pixels, of brightness 10 times their number, and their labels."""
    for number in range(12):
        Image.fromarray(np.full((4, 6), 10 * number, "uint8")).save(tmp_path / f"{number}.png")
    table = pandas.DataFrame(
        {
            "file": [f"{number}.png" for number in range(12)],
            "kind": np.resize(["cat", "dog"], 12),
            "number": np.arange(12) + 0.5,
        }
    )
    table.to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path


def load(folder, **options):
    return load_image_folder(folder, **{"data_format": "channels_last", **options})


def test_images_go_with_their_labels(folder):
    data = load(folder)
    assert data.name == folder.name and data.tasks == ("kind", "number")
    assert data.class_names == {"kind": ["cat", "dog"]}
    for _, x, y in data.splits():
        assert x.shape[1:] == (4, 6, 1) and x.dtype == "float32"
        np.testing.assert_allclose(255 * x[:, 0, 0, 0], 10 * (y["number"] - 0.5), rtol=1e-5)


def test_channels_first_and_a_size(folder):
    data = load(folder, data_format="channels_first", image_size=(2, 3), tasks=["kind"])
    assert data.x_train.shape[1:] == (1, 2, 3) and data.tasks == ("kind",)


def test_one_image_in_colour_makes_all_of_them_so(folder):
    Image.new("RGBA", (6, 4), (255, 0, 51, 128)).save(folder / "3.png")
    deep = np.full((4, 6), 65535, "uint16")
    Image.fromarray(deep).save(folder / "4.png")
    data = load(folder)
    x = np.concatenate([x for _, x, _ in data.splits()])
    number = np.concatenate([y["number"] for _, _, y in data.splits()])
    assert x.shape[1:] == (4, 6, 3)
    np.testing.assert_allclose(x[number == 3.5][0, 0, 0], [1, 0, 0.2], rtol=1e-5)
    np.testing.assert_allclose(x[number == 4.5][0, 0, 0], [1, 1, 1])
    np.testing.assert_allclose(x[number == 5.5][0, 0, 0], [50 / 255] * 3, rtol=1e-5)


def test_columns_are_named(folder):
    table = pandas.read_csv(folder / "labels.csv")[["number", "file", "kind"]]
    data = load(folder, table=table, image_column="file", ignore=["number"])
    assert data.tasks == ("kind",)


def test_images_without_a_row_are_named(folder):
    table = pandas.read_csv(folder / "labels.csv").iloc[:10]
    with pytest.warns(UserWarning, match=r"2 images .* have no row .* the first is 10\.png"):
        load(folder, table=table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(folder)


def test_files_without_an_image_are_named(folder):
    (folder / "7.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 12 rows .* '7\.png' in row 8"):
        load(folder)
    (folder / "7.png").write_text("no image")
    with pytest.raises(ValueError, match=r"Expected an image.*7\.png"):
        load(folder)


def test_sizes_that_differ_are_named(folder):
    Image.new("L", (5, 5)).save(folder / "2.png")
    with pytest.raises(ValueError, match=r"`image_size`.*\(4, 6\) and, of '2\.png', \(5, 5\)"):
        load(folder)


def test_a_table_has_to_be_there(folder):
    with pytest.raises(FileNotFoundError, match="folder of images"):
        load(folder / "nowhere")
    (folder / "more.csv").write_text("file,kind\n")
    with pytest.raises(FileNotFoundError, match=r"one table.*labels\.csv, more\.csv"):
        load(folder)
    with pytest.raises(ValueError, match="labels beside 'file'"):
        load(folder, table=pandas.DataFrame({"file": ["1.png"]}))


def test_pictures_are_read_as_viewers_show_them(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # taken with the camera on its side
    for number in range(10):
        picture = np.zeros((8, 12, 3), "uint8")
        picture[0] = 255
        Image.fromarray(picture).save(tmp_path / f"{number}.jpg", exif=turned, quality=95)
    table = pandas.DataFrame({"file": [f"{n}.jpg" for n in range(10)], "kind": ["a", "b"] * 5})
    data = load_image_folder(tmp_path, table, data_format="channels_last")
    assert data.x_train.shape[1:] == (12, 8, 3)
    assert data.x_train[0, :, -1].min() > 0.5 > data.x_train[0, :, 0].max()


def test_pictures_of_floats_stay_as_they_are(tmp_path):
    for number in range(10):
        values = np.random.default_rng(number).random((8, 8)).astype("float32")
        Image.fromarray(values).save(tmp_path / f"{number}.tiff")
    table = pandas.DataFrame({"file": [f"{n}.tiff" for n in range(10)], "kind": ["a", "b"] * 5})
    data = load_image_folder(tmp_path, table, data_format="channels_last")
    assert data.x_train.shape[1:] == (8, 8, 1) and 0.5 < data.x_train.max() < 1
    Image.fromarray(300 * values).save(tmp_path / "0.tiff")
    with pytest.raises(ValueError, match="8 or 16 bits"):
        load_image_folder(tmp_path, table, data_format="channels_last")
