import numpy as np
import pytest
from objects_and_poses import objects_and_poses

from mtlkit.references import Panel


@pytest.fixture(scope="module")
def panels():
    x, y, kind = objects_and_poses(1200)
    plain = Panel(x, y)
    return plain, plain.with_other_tasks({"kind": kind}), kind


def test_a_label_that_means_something_beside_another_one_is_read(panels):
    plain, told, _ = panels
    assert told.best.accuracy > plain.best.accuracy + 0.2
    assert told.best.kind.name in ("told", "told_neighbours")
    assert set(plain.references) < set(told.references)


def test_other_tasks_of_which_labels_are_missing(panels):
    plain, _, kind = panels
    partly = np.where(np.arange(len(kind)) % 2, kind, -1)
    found = plain.with_other_tasks({"kind": partly})
    # Half of the labels show most of the kinds, and all samples are predicted.
    assert found.best.accuracy > plain.best.accuracy + 0.04


def test_the_other_label_of_a_sample_is_not_given_to_it():
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=600)
    x = rng.random((600, 8, 8, 1), dtype="float32")
    panel = Panel(x, y).with_other_tasks({"again": y})
    for name, one in panel.references.items():
        assert one.accuracy == pytest.approx(0.25, abs=0.07), name


def test_no_other_task_leaves_the_panel_as_it_is(panels):
    plain, _, _ = panels
    assert plain.with_other_tasks({}) is plain


def test_what_looks_at_inputs_as_the_best_does_is_no_second_opinion(panels):
    plain, told, _ = panels
    assert told.best.kind.name == "told" and plain.best.kind.name == "neighbours"
    assert {one.kind.name for one in told.independent} == {"patches", "kernel"}
    assert {one.kind.name for one in plain.independent} == {"patches", "kernel"}
