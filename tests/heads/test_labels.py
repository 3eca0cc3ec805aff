"""Checks of labels: what passes, and errors that name the task and the value."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlkit.heads import ClassificationHead, OrientationHead, RegressionHead
from mtlkit.heads._labels import check_classes, check_values

NAN = np.nan


class TestClasses:
    @given(
        y=st.lists(st.integers(-1, 6), max_size=20),
        dtype=st.sampled_from(["int8", "int32", "int64"]),
        column=st.booleans(),
    )
    def test_valid(self, y, dtype, column):
        y = np.array(y, dtype)
        check_classes(y[:, None] if column else y, 7, "kind")

    def test_unsigned_and_lists(self):
        check_classes(np.array([0, 255], "uint8"), 256, "kind")
        check_classes([0, -1, 2], 3, "kind")

    @given(
        y=st.lists(st.integers(-1, 6), max_size=8),
        wrong=st.integers(-100, 100).filter(lambda value: not -1 <= value < 7),
        at=st.integers(0, 8),
    )
    def test_out_of_range(self, y, wrong, at):
        at = min(at, len(y))
        y.insert(at, wrong)
        message = rf"Task 'kind': expected integer labels in 0\.\.\.6.*: {wrong} at sample {at} "
        with pytest.raises(ValueError, match=message):
            check_classes(np.array(y), 7, "kind")

    def test_how_many_are_wrong(self):
        with pytest.raises(ValueError, match=r"Received: 9 at sample 1 \(2 of 4 labels are out"):
            check_classes(np.array([0, 9, 1, 7]), 7, "kind")

    def test_unsigned_255_is_not_unlabelled(self):
        with pytest.raises(ValueError, match="Received: 255 at sample 1"):
            check_classes(np.array([0, 255], "uint8"), 7, "kind")

    @pytest.mark.parametrize(
        ("y", "received"),
        [
            (np.array([0.0, 1.0]), r"dtype=float64, labels=\[0\.0, 1\.0\]"),
            (np.array([0.0, NAN], "float32"), r"dtype=float32, labels=\[0\.0, nan\]"),
            (np.array([True, False]), r"dtype=bool, labels=\[True, False\]"),
            (np.array(["cat", "dog"]), r"dtype=<U3, labels=\['cat', 'dog'\]"),
            (np.array([0, None]), r"dtype=object, labels=\[0, None\]"),
        ],
        ids=["float", "nan", "bool", "names", "none"],
    )
    def test_not_integers(self, y, received):
        with pytest.raises(ValueError, match=rf"Task 'kind': expected integer.*{received}"):
            check_classes(y, 7, "kind")

    @pytest.mark.parametrize("shape", [(4, 7), (4, 2), (4, 1, 1), (4, 0), ()])
    def test_shape(self, shape):
        message = r"Task 'kind'.*\(samples, 1\) or \(samples,\)\. Received: shape "
        with pytest.raises(ValueError, match=message + re.escape(str(shape))):
            check_classes(np.zeros(shape, int), 7, "kind")


class TestValues:
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "uint8"])
    @pytest.mark.parametrize(("shape", "units"), [((5,), 1), ((5, 1), 1), ((5, 3), 3), ((0,), 1)])
    def test_valid(self, dtype, shape, units):
        check_values(np.ones(shape, dtype), units, "size")

    def test_missing(self):
        check_values(np.array([0.5, NAN]), 1, "size")
        check_values(np.array([[0.5, -1.0], [NAN, NAN]]), 2, "size")
        check_values(np.array([3, -1, 0]), 1, "size")
        check_values(np.array([3, -2, 0]), 1, "size")
        check_values(np.zeros((0, 3)), 3, "size")

    @pytest.mark.parametrize("value", [np.inf, -np.inf])
    def test_infinite(self, value):
        message = r"Task 'size': expected 2 finite number.*Received: \[.*inf.*\] at sample 3"
        y = np.ones((5, 2))
        y[3, 1] = value
        with pytest.raises(ValueError, match=message):
            check_values(y, 2, "size")

    def test_infinite_beside_nan(self):
        with pytest.raises(ValueError, match="at sample 1"):
            check_values(np.array([[1.0, 1.0], [NAN, np.inf]]), 2, "size")

    def test_partly_missing(self):
        y = np.array([[1.0, 2.0], [NAN, NAN], [NAN, 7.0]])
        message = r"Task 'size'.*all or none of them NaN\. Received: \[nan +7\.\] at sample 2"
        with pytest.raises(ValueError, match=message):
            check_values(y, 2, "size")

    def test_integers_with_an_ambiguous_minus_one(self):
        with pytest.raises(ValueError, match=r"Task 'size'.*-1, which means unlabelled, beside"):
            check_values(np.array([3, -1, -2]), 1, "size")

    @pytest.mark.parametrize("y", [np.array([True]), np.array(["1.5"]), np.array([None])])
    def test_not_numbers(self, y):
        with pytest.raises(ValueError, match=r"Task 'size': expected 1 finite.*Received: dtype="):
            check_values(y, 1, "size")

    @pytest.mark.parametrize(
        ("shape", "units", "wanted"),
        [
            ((5, 2), 1, r"\(samples, 1\) or \(samples,\)"),
            ((5,), 2, r"\(samples, 2\)"),
            ((5, 3), 2, r"\(samples, 2\)"),
            ((5, 2, 1), 2, r"\(samples, 2\)"),
            ((), 1, r"\(samples, 1\) or \(samples,\)"),
        ],
    )
    def test_shape(self, shape, units, wanted):
        message = rf"Task 'size'.*of shape {wanted}\. Received: shape {re.escape(str(shape))}"
        with pytest.raises(ValueError, match=message):
            check_values(np.ones(shape), units, "size")


@pytest.mark.parametrize(
    ("head", "wrong", "received"),
    [
        (ClassificationHead(3, name="own"), np.array([0, 3]), "3 at sample 1"),
        (OrientationHead(8, name="own"), np.array([8, 0, -1]), "8 at sample 0"),
        (RegressionHead(name="own"), np.array([0.0, np.inf]), r"\[inf\] at sample 1"),
    ],
    ids=["classification", "orientation", "regression"],
)
def test_heads_name_the_task_or_themselves(head, wrong, received):
    with pytest.raises(ValueError, match=rf"Task 'animal':.*{received}"):
        head.validate_labels(wrong, task="animal")
    with pytest.raises(ValueError, match=rf"Task 'own':.*{received}"):
        head.validate_labels(wrong)
    assert head.validate_labels(wrong[:1] * 0) is None
