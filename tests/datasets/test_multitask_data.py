import dataclasses

import numpy as np
import pytest

from mtlkit.datasets import MultiTaskData


def parts(train=6, val=3, test=4):
    """The arguments of a valid data set."""
    result = {}
    for split, samples in (("train", train), ("val", val), ("test", test)):
        result[f"x_{split}"] = np.linspace(0, 1, samples * 8 * 8).reshape(samples, 8, 8, 1)
        result[f"y_{split}"] = {
            "identity": np.arange(samples) % 3,
            "intensity": np.linspace(0, 1, samples),
        }
    return result


def test_holds_what_it_was_given():
    given = parts()
    data = MultiTaskData(**given, name="mine")
    assert data.x_train is given["x_train"]
    assert data.y_test["identity"] is given["y_test"]["identity"]
    assert data.name == "mine"
    assert [split for split, _, _ in data.splits()] == ["train", "val", "test"]


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MultiTaskData(**parts()).x_train = np.zeros((6, 8, 8, 1))


def test_tasks_keep_the_order_of_the_training_labels():
    given = parts()
    given["y_train"] = {"z": np.zeros(6), "a": np.zeros(6, int), "m": np.zeros(6)}
    given["y_val"] = {"m": np.zeros(3), "z": np.zeros(3), "a": np.zeros(3, int)}
    given["y_test"] = {"a": np.zeros(4, int), "m": np.zeros(4), "z": np.zeros(4)}
    data = MultiTaskData(**given)
    assert data.tasks == ("z", "a", "m")
    assert tuple(data.y_val) == tuple(data.y_test) == data.tasks


def test_lists_become_arrays_and_the_callers_dict_stays():
    given = parts()
    given["y_val"] = {"identity": [0, 1, 2], "intensity": [0.0, 0.5, 1.0]}
    data = MultiTaskData(**given)
    assert isinstance(data.y_val["identity"], np.ndarray)
    assert isinstance(given["y_val"]["identity"], list)


def replaced(split, task=None, value=None):
    given = parts()
    if task is None:
        given[split] = value
    else:
        given[split] = {**given[split], task: value}
    return given


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (replaced("y_val", "identity", np.zeros(5, int)), ["3 labels", "identity", "val", "(5,)"]),
        (replaced("y_test", "intensity", np.float64(1)), ["4 labels", "intensity", "test", "()"]),
        (replaced("y_test", "extra", np.zeros(4)), ["identity", "test", "extra"]),
        (replaced("y_val", value={"identity": np.zeros(3, int)}), ["val", "intensity"]),
        (replaced("y_train", value={}), ["y_train", "at least one task"]),
        (replaced("y_train", value={"": np.zeros(6)}), ["y_train", "['']"]),
        (replaced("y_train", value=np.zeros(6)), ["y_train", "dict", "ndarray"]),
        (replaced("x_test", value=np.zeros((4, 9, 8, 1))), ["x_test", "(8, 8, 1)", "(9, 8, 1)"]),
        (
            replaced("x_val", value=np.zeros((0, 8, 8, 1))),
            ["x_val", "at least one", "(0, 8, 8, 1)"],
        ),
        (replaced("x_val", value=np.zeros(3)), ["x_val", "(3,)"]),
        (replaced("x_train", value=np.full((6, 8, 8, 1), "a")), ["x_train", "numbers", "<U1"]),
        (replaced("y_val", "intensity", [None, 1, 2]), ["y_val['intensity']", "object"]),
        (replaced("y_test", "identity", np.array([0, 1, -2, 0])), ["y_test['identity']", "-2"]),
    ],
)
def test_errors_name_what_is_wrong(given, words):
    with pytest.raises(ValueError, match="Expected") as caught:
        MultiTaskData(**given)
    assert [word for word in words if word not in str(caught.value)] == []


def line(summary, start):
    (found,) = [line for line in summary.splitlines() if line.split()[:1] == [start]]
    return " ".join(found.split())


def test_summary_describes_splits_and_tasks():
    given = parts(train=10)
    given["x_test"] = given["x_test"].astype("float32") * 2
    given["y_train"] = {
        "identity": np.array([2, 2, 2, 2, 0, 0, 1, -1, -1, 2], "int8"),
        "intensity": np.array([0, 0, 0.1, 0.1, 0.2, 0.5, 1, 1, 1, np.nan]),
    }
    given["y_test"] = {
        "identity": np.array([2, 2, 2, 3]),
        "intensity": np.array([0.2, 0.4, np.nan, 0.0]),
    }
    data = MultiTaskData(**given, name="my pictures")
    text = data.summary()

    assert str(data) == text
    assert text.startswith("my pictures\n")
    assert line(text, "train") == "train 10 8 x 8 x 1 float64 0 to 1"
    assert line(text, "test") == "test 4 8 x 8 x 1 float32 0 to 2"
    # The test split has the fourth class; most frequent in training is 2, right in 3 of 4.
    assert line(text, "identity") == (
        "identity classes 8 / 3 / 4 4 classes, 0.0 to 62.5 % each "
        "chance 25.0 %, most frequent class 75.0 %"
    )
    # The training median is 0.2; it misses the test labels by 0, 0.2 and 0.2.
    assert line(text, "intensity") == (
        "intensity values 9 / 3 / 3 0 to 1, mean 0.433, std 0.424 constant 0.2: MAE 0.133"
    )


@pytest.mark.parametrize("unlabelled", [np.full(6, -1), np.full(6, np.nan)])
def test_summary_of_a_task_without_training_labels(unlabelled):
    given = parts()
    for split, samples in (("train", 6), ("val", 3), ("test", 4)):
        given[f"y_{split}"] = {"identity": unlabelled[:samples]}
    text = MultiTaskData(**given).summary()
    assert "0 / 0 / 0" in text and "no labels" in text and "not known" in text


def test_summary_of_labels_of_several_numbers():
    given = parts()
    for split, samples in (("train", 6), ("val", 3), ("test", 4)):
        given[f"y_{split}"] = {"direction": np.tile([0.0, 1.0], (samples, 1))}
    given["y_train"]["direction"][0, 0] = np.nan
    text = line(MultiTaskData(**given).summary(), "direction")
    assert text.startswith("direction values 5 / 3 / 4 0 to 1, mean 0.5") and "MAE 0" in text


@pytest.mark.parametrize("dtype", ["uint8", "uint64", "bool", "int32"])
def test_every_integer_dtype_holds_classes(dtype):
    given = parts()
    for split, samples in (("train", 6), ("val", 3), ("test", 4)):
        given[f"y_{split}"] = {"identity": (np.arange(samples) % 2).astype(dtype)}
    assert "2 classes, 50.0 to 50.0 % each" in MultiTaskData(**given).summary()


def test_repr_is_short():
    text = repr(MultiTaskData(**parts(), name="mine"))
    assert "name='mine'" in text and "train=6, val=3, test=4" in text and len(text) < 120


@pytest.mark.parametrize("other", [np.zeros((6, 2)), np.zeros((6, 3), int)])
def test_labels_of_all_splits_are_alike(other):
    x = np.zeros((6, 4, 4, 1), "float32")
    good = {"v": np.zeros((6, 3))}
    with pytest.raises(ValueError, match=r"y_val\['v'\] to be like the training labels"):
        MultiTaskData(x, good, x, {"v": other}, x, good)


def test_integers_with_gaps_stay_classes():
    pd = pytest.importorskip("pandas")
    x = np.zeros((3, 4, 4, 1), "float32")
    gaps, whole = (pd.Series(values, dtype="Int64") for values in ([0, None, 1], [0, 1, 1]))
    y = {"train": gaps, "val": whole, "test": whole}
    data = MultiTaskData(**{f"x_{s}": x for s in y}, **{f"y_{s}": {"a": y[s]} for s in y})
    assert data.y_train["a"].dtype.kind == "i" and data.y_train["a"].tolist() == [0, -1, 1]
    names = {**{f"y_{s}": {"a": y[s]} for s in y}, "y_val": {"a": np.array(["b", "a", "b"])}}
    with pytest.raises(ValueError, match=r"Number the names: .*np.unique"):
        MultiTaskData(**{f"x_{s}": x for s in y}, **names)
