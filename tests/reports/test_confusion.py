import io
import itertools

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from mtlkit.reports.confusion import confusion_shares, plot_confusion

RNG = np.random.default_rng(0)
Y_TRUE, Y_PRED = RNG.integers(32, size=2000), RNG.integers(32, size=2000)


@pytest.fixture(autouse=True)
def no_screen(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("The plot was shown on a screen.")

    monkeypatch.setattr(plt, "show", fail)
    before = plt.get_fignums()
    yield
    assert plt.get_fignums() == before  # no figure is left in the global state


def test_draws_the_row_normalised_matrix():
    ax = plot_confusion(Y_TRUE, Y_PRED, title="orientation")
    (image,) = ax.get_images()
    expected = confusion_matrix(Y_TRUE, Y_PRED, normalize="true")
    np.testing.assert_allclose(image.get_array(), expected)
    assert image.get_clim() == (0, 1)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    assert ax.get_title() == "orientation"
    assert len(ax.figure.axes) == 2  # the second is the colour bar


def test_classes_not_seen_keep_their_place():
    shares = confusion_shares([0, 2, 2], [0, 2, 3], num_classes=5)
    assert shares.shape == (5, 5)
    np.testing.assert_array_equal(shares[2], [0, 0, 0.5, 0.5, 0])
    assert np.isnan(shares[[1, 3, 4]]).all()  # nothing is known of them


def test_unlabelled_samples_are_left_out():
    np.testing.assert_array_equal(
        confusion_shares([0, 1, -1, 1], [0, 1, 0, 0]), confusion_shares([0, 1, 1], [0, 1, 0])
    )


def test_draws_on_given_axes():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot_confusion([0, 1], [1, 1], ax=right) is right
    assert right.get_images() and not left.get_images()


@pytest.mark.parametrize("num_classes", [1, 2, 10, 32, 100])
def test_picture_is_readable(num_classes):
    classes = np.arange(num_classes)
    ax = plot_confusion(classes, classes, num_classes)
    buffer = io.BytesIO()
    ax.figure.savefig(buffer, format="png")
    assert buffer.getvalue().startswith(b"\x89PNG")
    for axis in (ax.xaxis, ax.yaxis):
        ticks = [tick for tick in axis.get_ticklocs() if -0.5 <= tick <= num_classes - 0.5]
        assert 1 <= len(ticks) <= 17
        assert all(float(tick).is_integer() for tick in ticks)
    boxes = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
    boxes.sort(key=lambda box: box.x0)
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_global_backend_is_left_alone():
    before = matplotlib.get_backend()
    plot_confusion([0, 1], [0, 1])
    assert matplotlib.get_backend() == before


@pytest.mark.parametrize(
    ("y_true", "y_pred", "words"),
    [
        ([0, 1], [0], r"\(2,\).*\(1,\)"),
        ([], [], "at least one sample"),
        ([-1, -1], [0, 1], "at least one labelled"),
        ([0, 1], [0, 4], r"y_pred.*0 \.\.\. 2.*\[4\]"),
    ],
)
def test_bad_labels_are_errors(y_true, y_pred, words):
    with pytest.raises(ValueError, match=words):
        plot_confusion(y_true, y_pred, num_classes=3)
