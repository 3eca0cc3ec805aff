import numpy as np
import pytest
from diagnostics.made_images import bright_rows, reference
from sklearn.metrics import confusion_matrix

from mtlkit.diagnostics import Reference
from mtlkit.diagnostics.data_probes import confusion, gallery


def test_the_confusions_are_counted():
    made = reference("opposite", 0.2)
    found = confusion(made)
    expected = confusion_matrix(made.y, made.predicted, labels=range(8))
    np.testing.assert_array_equal(found.details["matrix"], expected)
    wrong = expected - np.diag(np.diag(expected))
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    assert (
        f"Class {row} is taken for class {column} most often by a simple reference, {wrong.max()}"
        in found.text
    )
    assert (column - row) % 8 == 4


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (0, "No class is taken for another by a simple reference."),
        (1, "Class 1 is taken for class 2 most often by a simple reference, once."),
        (2, "Class 1 is taken for class 2 most often by a simple reference, twice."),
        (5, "Class 1 is taken for class 2 most often by a simple reference, 5 times."),
    ],
)
def test_how_often_in_words(wrong, text):
    made = Reference(np.zeros((60, 8, 8, 1)), np.arange(60) % 3)
    made.predicted = np.where((made.y == 1) & (np.arange(60) < 3 * wrong), 2, made.y)
    assert confusion(made).text == text


def test_the_gallery_shows_each_class():
    made = Reference(*bright_rows(200))
    details = gallery(made).details
    assert details["labels"] == [str(k) for k in range(8)]
    assert details["images"].shape == (8, 4, 8, 8, 1)
    assert details["images"].min() >= 0 and details["images"].max() <= 1
    brightest = details["images"][..., 0].mean(axis=3).argmax(axis=2)
    np.testing.assert_array_equal(brightest, np.repeat(np.arange(8)[:, None], 4, axis=1))


def test_the_gallery_has_blanks_for_classes_with_few_samples_and_thins_many():
    x, y = bright_rows(200, 4)
    y = np.where(np.arange(200) == np.flatnonzero(y == 2)[0], 4, y)
    details = gallery(Reference(x, y)).details
    assert details["labels"] == ["0", "1", "2", "3", "4"]
    assert details["images"][4, 0].any() and not details["images"][4, 1:].any()
    labels = gallery(Reference(x, np.arange(200) % 40)).details["labels"]
    assert len(labels) == 16 and (labels[0], labels[-1]) == ("0", "39")


def test_values_go_from_small_to_large():
    x, y = bright_rows(200, 4)
    details = gallery(Reference(x, y + 0.5)).details
    shown = [float(label) for label in details["labels"]]
    assert shown == sorted(shown) and shown[0] == 0.5 and shown[-1] == 3.5
    brightest = details["images"][..., 0].mean(axis=3).argmax(axis=2).ravel()
    assert (np.diff(brightest) >= 0).all()
