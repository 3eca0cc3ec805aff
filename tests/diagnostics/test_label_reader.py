import numpy as np
import pandas as pd
import pytest

from mtlkit.datasets._label_reader import LabelReader
from mtlkit.diagnostics import audit
from mtlkit.diagnostics._labels import read_all, readers_of

CLASSES = np.arange(60) % 3


def read(given):
    return LabelReader(given, "pose").read(given)


@pytest.mark.parametrize(
    "given",
    [
        CLASSES,
        CLASSES.tolist(),
        CLASSES[:, None],
        CLASSES.astype("float64"),
        np.eye(3)[CLASSES],
        np.eye(3, dtype=bool)[CLASSES],
        pd.Series(CLASSES),
        pd.DataFrame({"pose": CLASSES}),
        np.array(["bird", "cat", "dog"])[CLASSES],
        pd.Series(np.array(["bird", "cat", "dog"], object)[CLASSES]),
        pd.Categorical(np.array(["bird", "cat", "dog"])[CLASSES]),
        np.array([7, 8, 9], object)[CLASSES] - 7,
    ],
)
def test_classes_however_they_are_given(given):
    labels = read(given)
    assert labels.dtype.kind in "iu"
    np.testing.assert_array_equal(labels, CLASSES)


@pytest.mark.parametrize(
    "given",
    [
        np.where(CLASSES == 2, np.nan, CLASSES),
        pd.Series(np.where(CLASSES == 2, np.nan, CLASSES)),
        pd.Series(np.where(CLASSES == 2, np.nan, CLASSES)).astype("Int64"),
        pd.Series(np.array(["bird", "cat", None], object)[CLASSES]),
        np.array(["bird", "cat", ""])[CLASSES],
    ],
)
def test_missing_ones(given):
    np.testing.assert_array_equal(read(given), np.where(CLASSES == 2, -1, CLASSES))


@pytest.mark.parametrize(
    "given",
    [
        np.linspace(0, 1, 60),
        np.arange(60.0),  # each once
        2.0 * CLASSES,  # leaves numbers out
        np.eye(3)[CLASSES] * 0.5,
        np.stack([CLASSES, CLASSES], axis=1) * 1.5,
    ],
)
def test_values_stay_values(given):
    assert read(given) is given


def test_held_out_labels_are_read_as_training_labels():
    names = np.array(["bird", "cat", "dog"])
    readers = readers_of({"pose": names[CLASSES], "size": CLASSES.astype(float)}, "pose")
    held = read_all({"pose": ["dog", "dog"], "size": [2.0, 2.0]}, "pose", readers)
    np.testing.assert_array_equal(held["pose"], [2, 2])
    assert held["size"].dtype.kind == "i" and readers["pose"].names == list(names)
    with pytest.raises(ValueError, match="Task 'pose'.*names of training labels.*'fish'"):
        read_all({"pose": ["fish"]}, "pose", readers)


def test_audit_reads_names():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4))
    x[:, 0] += 6 * (np.arange(120) % 2)
    found = audit(x, np.array(["no", "yes"])[np.arange(120) % 2], "ill", verbose=0)
    assert found.setup["class_names"] == ["no", "yes"]
    assert found.evidence["signal"].unit == "accuracy" and found.evidence["signal"].found
