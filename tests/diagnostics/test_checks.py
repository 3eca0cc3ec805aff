"""Bad input is named; nothing fails inside other libraries."""

import numpy as np
import pytest

from mtlkit.diagnostics import audit
from mtlkit.diagnostics._checks import checked_inputs, checked_labels, complete, input_array

RNG = np.random.default_rng(0)
X = RNG.random((80, 6, 6, 1), dtype="float32")
Y = np.arange(80) % 4
USES = {
    "checks": lambda y: checked_labels(y, "pose", 80),
    "audit": lambda y: audit(X, y, "pose", verbose=0),
}


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (X, (80, 6, 6, 1)),
        (np.moveaxis(X.repeat(3, axis=3), 3, 1), (80, 6, 6, 3)),
        ((255 * X).astype("uint8"), (80, 6, 6, 1)),
        (X.tolist(), (80, 6, 6, 1)),
        (RNG.integers(0, 256, (5, 224, 160, 3)).astype("uint8"), (5, 224, 160, 3)),
    ],
)
def test_images_come_in_many_forms(given, shape):
    images = checked_inputs(given)
    assert images.shape == shape and images.dtype == "float32"


def test_images_are_not_copied_to_be_checked():
    images = (255 * X).astype("uint8")
    assert input_array(images) is images
    first = np.moveaxis(images.repeat(3, axis=3), 3, 1)
    assert np.shares_memory(input_array(first), first)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (X[:, 0, 0, 0], r"images \(samples.*Received: pictures of shape.*give each value a row"),
        (X[:0], "Received: pictures of shape"),
        (X[:, :0], "Received: pictures of shape"),
        (X[None], "Received: pictures of shape"),
        (np.full((80, 6, 6, 1), "a"), "dtype <U1.*TextVectorization"),
        (np.where(X[3] == X, np.nan, X), "finite values in pictures.*in 1 of 80 samples"),
        (np.where(X[3] == X, np.inf, X), "finite values in pictures.*in 1 of 80 samples"),
    ],
)
def test_bad_inputs(given, message):
    with pytest.raises(ValueError, match=f"(?i){message}"):
        checked_inputs(given, "pictures")


@pytest.mark.parametrize(
    "given",
    [RNG.random((200, 30, 8)), RNG.random((200, 14)), RNG.integers(0, 99, (200, 14)), X[..., 0]],
)
def test_other_inputs_than_images(given):
    found = checked_inputs(given)
    assert found.shape == given.shape and (found.dtype.kind == given.dtype.kind)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ({"shade": Y}, r"Task 'pose': expected labels in y\. Received: labels of \['shade'\]"),
        ({"pose": Y[:-1]}, r"Task 'pose': expected labels of shape \(80,\)"),
        ({"pose": np.zeros((80, 3), int)}, r"Task 'pose': expected labels of shape \(80,\)"),
        ({"pose": np.zeros(80, int)}, "Task 'pose'.*at least two values.*Received: 0 in every"),
        ({"pose": np.full(80, 0.5)}, "Task 'pose'.*at least two values.*Received: 0.5 in every"),
        ({"pose": np.full(80, -1)}, "Task 'pose'.*50 labelled.*Received: 0"),
        ({"pose": np.full(80, np.nan)}, "Task 'pose'.*50 labelled.*Received: 0"),
        ({"pose": np.where(np.arange(80) < 40, -1, Y)}, "Task 'pose'.*Received: 40"),
        ({"pose": np.arange(80)}, "Task 'pose'.*two samples a class.*80 classes in 80"),
        ({"pose": Y - 2}, "Task 'pose'.*classes from 0 on.*Received: -2"),
        ({"pose": np.where(np.arange(80) == 5, 10**9, Y)}, "Task 'pose'.*below 1,000.* sample 5"),
        ({"pose": np.where(np.arange(80) == 5, np.inf, Y)}, "Task 'pose'.*finite.*inf at sample 5"),
        ({"pose": Y, "shade": Y[:5]}, "Task 'shade': expected labels of shape"),
    ],
)
@pytest.mark.parametrize("use", USES)
def test_bad_labels(y, message, use):
    with pytest.raises(ValueError, match=message):
        USES[use](y)


def test_good_labels():
    others = {"shade": RNG.random((80, 1)), "box": RNG.random((80, 4)), "on": Y > 1}
    own, rest = checked_labels({"pose": Y.astype("uint8"), **others}, "pose", 80)
    assert own.dtype == "int64" and rest["on"].dtype == "int64"
    assert rest["shade"].shape == (80,) and rest["box"].shape == (80, 4)
    assert checked_labels(Y, "pose", 80)[1] == {}
    half = np.where(np.arange(80) < 20, -1, Y)
    np.testing.assert_array_equal(checked_labels(half, "pose", 80)[0], half)


def test_labels_of_which_some_are_missing():
    box = RNG.random((80, 4))
    box[7, 2] = np.nan
    labels = {"a": Y, "b": np.where(Y == 3, -1, Y), "c": box, "d": box[:, 0]}
    assert list(complete(labels)) == ["a", "d"]
