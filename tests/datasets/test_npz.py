import zipfile

import keras
import numpy as np
import pytest

from mtlkit.datasets import MultiTaskData, load_npz


def arrays(shape=(8, 8, 1)):
    rng = np.random.default_rng(0)
    result = {}
    for split, samples in (("train", 6), ("val", 3), ("test", 4)):
        result[f"x_{split}"] = rng.random((samples, *shape), dtype="float32")
        result[f"y_{split}_identity"] = rng.integers(-1, 3, samples)
        result[f"y_{split}_the_angle"] = rng.random(samples)
    return result


@pytest.fixture
def save(tmp_path):
    def write(content):
        path = tmp_path / "mine.npz"
        np.savez(path, **content)
        return path

    return write


def test_loads_every_array(save):
    content = arrays()
    data = load_npz(save(content))
    assert data.name == "mine" and data.tasks == ("identity", "the_angle")
    for split, x, y in data.splits():
        np.testing.assert_array_equal(x, content[f"x_{split}"])
        for task in data.tasks:
            np.testing.assert_array_equal(y[task], content[f"y_{split}_{task}"])


@pytest.mark.parametrize("file", ["kept.npz", "no_suffix"])
def test_round_trip(tmp_path, file):
    content = arrays()
    content["y_test_the_angle"][1] = np.nan
    original = MultiTaskData(
        **{f"x_{split}": content[f"x_{split}"] for split in ("train", "val", "test")},
        **{
            f"y_{split}": {
                "z angle/π": content[f"y_{split}_the_angle"],
                "identity": content[f"y_{split}_identity"].astype("int8"),
            }
            for split in ("train", "val", "test")
        },
    )
    path = tmp_path / file
    original.save_npz(path)
    assert [file.name for file in tmp_path.iterdir()] == [file]
    loaded = load_npz(path)
    assert loaded.tasks == original.tasks
    for (_, x, y), (_, same_x, same_y) in zip(original.splits(), loaded.splits(), strict=True):
        np.testing.assert_array_equal(x, same_x)
        assert x.dtype == same_x.dtype
        for task in original.tasks:
            np.testing.assert_array_equal(y[task], same_y[task])
            assert y[task].dtype == same_y[task].dtype


@pytest.mark.parametrize(
    ("data_format", "shape"), [("channels_last", (8, 9, 1)), ("channels_first", (1, 8, 9))]
)
def test_grey_images_get_a_channel_axis(save, data_format, shape):
    content = arrays(shape=(8, 9))
    path = save(content)
    for data in (load_npz(path, data_format), load_with_default(path, data_format)):
        assert data.x_train.shape == (6, *shape)
        np.testing.assert_array_equal(data.x_train.squeeze(), content["x_train"])


def load_with_default(path, data_format):
    before = keras.config.image_data_format()
    keras.config.set_image_data_format(data_format)
    try:
        return load_npz(path)
    finally:
        keras.config.set_image_data_format(before)


def test_every_missing_array_is_named(save):
    content = arrays()
    for name in ("x_val", "y_val_identity", "y_train_the_angle"):
        del content[name]
    with pytest.raises(ValueError, match="missing") as caught:
        load_npz(save(content))
    listed = str(caught.value).split("missing: ")[1]
    assert set(listed.split(", ")) == {"x_val", "y_val_identity", "y_train_the_angle"}


def test_an_archive_without_tasks_is_an_error(save):
    content = {name: array for name, array in arrays().items() if name.startswith("x_")}
    with pytest.raises(ValueError, match=r"missing: y_train_<task>"):
        load_npz(save(content))


@pytest.mark.parametrize("name", ["weights", "y_valid_identity", "y_train_", "X_train"])
def test_unknown_arrays_are_named(save, name):
    with pytest.raises(ValueError, match=f"unknown: {name}$"):
        load_npz(save({**arrays(), name: np.zeros(6)}))


def test_misshapen_arrays_are_named_with_the_file(save):
    with pytest.raises(ValueError, match=r"mine\.npz.*3 labels in y_val\['identity'\].*\(7,\)"):
        load_npz(save({**arrays(), "y_val_identity": np.zeros(7, int)}))


class Bomb:
    """Unpickling it would call `open` with a name that shows."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_objects_are_never_unpickled(save, tmp_path):
    trace = tmp_path / "unpickled"
    path = save({**arrays(), "y_train_identity": np.array([Bomb(str(trace))] * 6)})
    with pytest.raises(ValueError, match=r"'y_train_identity'.*never unpickled"):
        load_npz(path)
    assert not trace.exists()


def test_a_file_that_is_no_archive_is_an_error(tmp_path):
    path = tmp_path / "mine.npz"
    path.write_bytes(b"\x80\x04K\x01.")  # a pickle
    with pytest.raises(ValueError, match=r"\.npz archive.*mine"):
        load_npz(path)


def test_a_damaged_array_is_named(save):
    path = save(arrays())
    content = path.read_bytes()
    middle = content.index(b"y_val_identity.npy") + 160  # within the array behind that name
    path.write_bytes(content[:middle] + b"\xff" + content[middle + 1 :])
    with pytest.raises(ValueError, match=r"'y_val_identity'.*intact"):
        load_npz(path)


def test_a_stray_file_in_the_archive_is_named(save):
    path = save(arrays())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(ValueError, match=r"unknown: notes\.txt"):
        load_npz(path)


def test_a_missing_file_is_reported_as_such(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_npz(tmp_path / "nowhere.npz")


# === Archives of whole columns, and those that lack a split ===


def columns(rows=20, **more):
    rng = np.random.default_rng(0)
    return {"x": rng.random((rows, 3)), "kind": np.arange(rows) % 3, **more}


def sizes(data):
    return [len(x) for _, x, _ in data.splits()]


def test_whole_columns_are_divided(save):
    data = load_npz(save(columns(y_size=np.random.default_rng(1).random(20))))
    assert data.tasks == ("kind", "size") and sizes(data) == [14, 3, 3]
    given = columns(split=[0] * 10 + [1] * 5 + [2] * 5, kind_names=["a", "b", "c"])
    data = load_npz(save(given))
    assert sizes(data) == [10, 5, 5] and data.class_names == {"kind": ["a", "b", "c"]}
    np.testing.assert_array_equal(data.y_val["kind"], given["kind"][10:15])


def test_arrays_and_groups_are_named(save):
    path = save(columns(pixels=np.zeros((20, 4, 4)), mask=np.zeros((20, 4, 4)), who=range(20)))
    data = load_npz(path, inputs="pixels", tasks=["kind"], group="who")
    assert data.tasks == ("kind",) and data.x_train.shape[1:] in ((4, 4, 1), (1, 4, 4))
    with pytest.raises(ValueError, match=r"`ignore`.*pixels \(20, 4, 4\), mask"):
        load_npz(path)
    assert load_npz(path, ignore=["pixels", "mask"]).tasks == ("kind", "who")


def test_words_are_classes(save):
    data = load_npz(save(columns(colour=np.resize(["red", "blue"], 20))))
    assert data.class_names == {"colour": ["blue", "red"]} and data.kind("colour").name == "classes"


def test_a_split_that_is_missing_is_drawn(save):
    whole = columns()
    given = {"x_train": whole["x"], "y_train": whole["kind"]}
    given |= {"x_test": whole["x"][:4], "y_test": whole["kind"][:4]}
    data = load_npz(save(given))
    assert data.tasks == ("y",) and sizes(data) == [17, 3, 4]
    np.testing.assert_array_equal(data.x_test, given["x_test"])


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (columns(), {"inputs": "images"}, "the array 'images'"),
        (columns(), {"tasks": ["size"]}, "tasks out of kind. Received: size"),
        (columns(), {"split": "part"}, "the array 'part'. Received: x, kind"),
        (columns(), {"ignore": ["kind"]}, "labels beside the inputs"),
        (columns(), {"ignore": ["size"]}, "to ignore arrays out of x, kind. Received: size"),
        (columns(split=[0, 1]), {}, "of each of 20 rows"),
        (arrays(), {"group": "who"}, "divided into x_train.*group='who'"),
    ],
)
def test_wrong_options_are_errors(save, given, options, words):
    with pytest.raises(ValueError, match=words):
        load_npz(save(given), **options)
