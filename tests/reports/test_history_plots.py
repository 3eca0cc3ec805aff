"""plot_history: losses and scores of each task, epoch by epoch."""

import keras
import numpy as np
import pytest

import mtlkit as mtl
from mtlkit.reports import plot_history

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype("float32")
Y = {"kind": np.arange(40) % 4, "kind_size": X[:, 0] * 5}


@pytest.fixture(scope="module")
def history():
    backbone = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    tasks = [
        mtl.Task("kind", mtl.heads.ClassificationHead(4)),
        mtl.Task("kind_size", mtl.heads.RegressionHead()),
    ]
    model = mtl.MultiTaskModel(backbone, tasks)
    model.compile("adam")
    return model.fit(X, Y, validation_data=(X, Y), epochs=2, verbose=0)


def drawn(ax):
    """The lines of an axes: colour, and values."""
    return [np.asarray(line.get_ydata(), "float64") for line in ax.get_lines()]


def test_a_row_a_task_with_training_and_validation(history):
    logs = history.history
    figure = plot_history(history)
    expected = ["kind_loss", "kind_accuracy", "kind_size_loss", "kind_size_mae"]
    assert len(figure.axes) == 4
    for ax, log in zip(figure.axes, expected, strict=True):
        np.testing.assert_allclose(drawn(ax)[0], logs[log])
        np.testing.assert_allclose(drawn(ax)[1], logs[f"val_{log}"])
    assert [ax.get_title(loc="left") for ax in figure.axes[::2]] == ["kind", "kind_size"]


def test_baselines(history):
    chance = plot_history(history).axes
    assert drawn(chance[1])[2] == pytest.approx([0.25, 0.25]) and len(drawn(chance[3])) == 2
    best = plot_history(history, labels=Y).axes
    error = np.abs(Y["kind_size"] - np.median(Y["kind_size"])).mean()
    assert drawn(best[3])[2][0] == pytest.approx(error, rel=1e-3)


def test_logs_alone(history):
    """Without the model the tasks are those that have a loss."""
    figure = plot_history(history.history, tasks=["kind"])
    np.testing.assert_allclose(drawn(figure.axes[1])[0], history.history["kind_accuracy"])
    assert len(plot_history(history.history).axes) == 4


def test_one_epoch_and_gaps():
    figure = plot_history({"a_loss": [1.0], "b_loss": [np.nan, 2.0], "b_mae": [np.nan, 1.0]})
    assert [ax.get_visible() for ax in figure.axes] == [True, False, True, True]
    assert figure.axes[0].get_lines()[0].get_marker() == "o"
    assert figure.axes[3].get_legend() is not None


def test_names_of_tasks_that_begin_alike():
    logs = {"valence_loss": [1.0], "valence_mae": [2.0], "val_valence_loss": [1.0]}
    assert len(plot_history(logs).axes) == 2
    logs = {"kind_loss": [1.0], "kind_size_loss": [1.0], "kind_size_mae": [1.0]}
    assert not plot_history(logs, tasks=["kind"]).axes[1].get_visible()


def test_labels_without_a_constant(history):
    for kind in (Y["kind"] * 1.5, np.full(40, -1)):
        axes = plot_history(history, labels={"kind": kind}).axes
        assert drawn(axes[1])[2] == pytest.approx([0.25, 0.25])


@pytest.mark.parametrize("given", [{}, {"loss": [1.0]}])
def test_no_logs_of_tasks(given):
    with pytest.raises(ValueError, match="Expected a history with the logs of tasks"):
        plot_history(given)


def test_unknown_task(history):
    with pytest.raises(ValueError, match=r"Received: \['size'\]"):
        plot_history(history, tasks=["size"])
