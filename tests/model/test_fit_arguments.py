"""The arguments of fit: checked, and given to Keras in another dict."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import small_model

from mtlkit.model._fit_arguments import (
    check_evaluate_arguments,
    check_fit_arguments,
    training_batches,
)


@pytest.fixture(scope="module")
def model():
    return small_model()


def test_nothing_that_was_given_is_changed(model, images, labels):
    y = {name: values.tolist() for name, values in labels.items()}
    weight = {"identity": np.ones(48)}
    given = {"x": images, "y": y, "sample_weight": weight, "epochs": 3}
    given["validation_data"] = (images, y)
    before = dict(given)
    arguments = check_fit_arguments(given, model.tasks, model.input)
    assert given == before and all(given[key] is before[key] for key in given)
    assert all(isinstance(values, list) for values in y.values()) and list(weight) == ["identity"]
    assert arguments["epochs"] == 3
    assert set(arguments["sample_weight"]) == set(labels)
    for name, values in labels.items():
        np.testing.assert_array_equal(arguments["y"][name], values)
        np.testing.assert_array_equal(arguments["validation_data"][1][name], values)
    assert len(arguments["validation_data"]) == 2
    given = {"x": images, "y": y}
    check_evaluate_arguments(given, model.tasks, model.input)
    assert given == {"x": images, "y": y}


def test_the_first_batch_of_a_stream_is_checked_at_once(model, images, labels):
    """Nothing has to be run through for it."""
    bad = {**labels, "identity": labels["identity"] + 9}
    with pytest.raises(ValueError, match="Task 'identity'.*batch 0 of the training data"):
        check_fit_arguments({"x": iter([(images, bad)])}, model.tasks, model.input)


def test_training_batches_of_arrays_leave_the_validation_out(model, images, labels):
    given = {"x": images, "y": labels, "sample_weight": np.arange(48.0), "validation_split": 0.25}
    arguments = check_fit_arguments(given, model.tasks, model.input)
    _, batches = training_batches(arguments, model.tasks, model.input, None)
    ((x, y, weight),) = batches
    np.testing.assert_array_equal(x, images[:36])
    np.testing.assert_array_equal(y["identity"], labels["identity"][:36])
    np.testing.assert_array_equal(weight, np.arange(36.0))


def test_training_batches_of_a_generator_are_lost_for_nobody(model, images, labels):
    def batches():
        for start in range(0, 48, 16):
            rows = slice(start, start + 16)
            yield images[rows], {name: values[rows] for name, values in labels.items()}

    given = {"x": batches(), "steps_per_epoch": 2}
    arguments = check_fit_arguments(given, model.tasks, model.input)
    arguments, seen = training_batches(arguments, model.tasks, model.input, 2)
    assert [len(x) for x, _, _ in seen] == [16, 16]
    passed = [batch[0] for batch in arguments["x"]]
    np.testing.assert_array_equal(np.concatenate(passed), images)
