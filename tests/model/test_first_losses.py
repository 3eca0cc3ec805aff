"""A warning where one task's loss at the start is a thousand times another's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from small_models import small_backbone, small_tasks

import mtlkit as mtl
from mtlkit.model._first_losses import warn_of_unequal_losses

THOUSANDS = np.random.default_rng(0).uniform(3000, 10000, size=48)


def a_model(standardize, **changes):
    head = mtl.heads.RegressionHead(hidden_units=5, standardize=standardize)
    model = mtl.MultiTaskModel(
        small_backbone(), [small_tasks()[0], mtl.Task("value", head, **changes)]
    )
    model.compile("sgd")
    return model


def test_fit_says_it_once_with_the_cure(images, labels):
    model = a_model(standardize=False)
    y = {"identity": labels["identity"], "value": THOUSANDS}
    message = r"Task 'value': its weighted loss is .*e\+07.*'identity'.*RegressionHead\(1, stand"
    with pytest.warns(UserWarning, match=message):
        model.fit(images, y, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(images, y, verbose=0)


@pytest.mark.parametrize(
    ("standardize", "changes"),
    [(True, {}), (False, {"weight": 1e-8}), (False, {"gradient": "stop"})],
    ids=["standardised", "weighted", "stopped"],
)
def test_no_false_alarm(images, labels, standardize, changes):
    model = a_model(standardize, **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(images, {"identity": labels["identity"], "value": THOUSANDS}, verbose=0)


def test_a_task_whose_labels_come_later(images, labels):
    """The first batch has no label of one task; the second has."""
    model = a_model(standardize=False)
    y = {"identity": labels["identity"], "value": np.where(np.arange(48) < 16, np.nan, THOUSANDS)}
    with pytest.warns(UserWarning, match="Task 'value'"):
        model.fit(images, y, batch_size=16, shuffle=False, verbose=0)


@pytest.mark.parametrize(
    ("losses", "warns"),
    [
        ({"a": 2.3, "b": 2.4e3}, "Task 'b'"),
        ({"a": 2.3, "b": 2.2e3}, None),
        ({"a": 2.3, "b": 1e-5}, None),  # learned already, or near zero at the start
        ({"a": 1e6, "b": 2e6, "c": 2.3}, "Task 'b'.*'c'"),
        ({"a": 1e9}, None),
        ({}, None),
    ],
)
def test_which_losses_are_unequal(losses, warns):
    head = mtl.heads.ClassificationHead(3)
    tasks = {name: mtl.Task(name, head) for name in "abc"}
    if warns is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            warn_of_unequal_losses(losses, tasks)
    else:
        with pytest.warns(UserWarning, match=f"{warns}.*weight="):
            warn_of_unequal_losses(losses, tasks)
