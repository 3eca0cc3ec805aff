"""The function, its arguments, and what all conditions have in common."""

import functools
import importlib
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import mtlkit as mtl
from mtlkit.datasets import MultiTaskData, PlantedData, planted, planted_conditions
from mtlkit.datasets.planting import FAMILIES, PLANTED_CONDITIONS
from mtlkit.datasets.rotated_fashion_mnist import find_files
from mtlkit.diagnostics.causes import OF_DATA, OF_MODELS
from mtlkit.diagnostics.verdict import LIMITS

EMBEDDED = ("glyphs", "textures", "digits")
ASKED_FOR = [
    "clean",
    "uniform_noise",
    "pair_flip",
    "adjacent_flip",
    "symmetry",
    "half_symmetry",
    "class_overlap",
    "no_signal",
    "lost_resolution",
    "resolution",
    "imbalance_hurts",
    "imbalance_harmless",
    "needs_context",
    "loss_starvation",
    "interference",
    "head_destroys_space",
    "under_trained",
    "backbone_collapse",
    "input_scale",
    "loss_mismatch",
    "too_little_data",
    "gradient_conflict_harmless",
    "invalid_split",
    "misaligned_labels",
    "twins_and_noise",
    "pool_and_noise",
    "imbalance_and_little",
    "pair_flip_half",
    "identity_broken",
    "label_leak",
    "optimizer",
]


def small(cause, family="digits", **options):
    return planted(cause, family=family, **{"samples": 160, "num_bins": 8, **options})


#: Each condition on one family, each family on every third condition.
FAMILY_OF = {cause: EMBEDDED[n % 3] for n, cause in enumerate(PLANTED_CONDITIONS)}


@functools.cache
def built(cause):
    """Made once for all tests that look at every condition."""
    return small(cause, FAMILY_OF[cause])


def arrays(data):
    for split, x, y in data.splits():
        yield f"x_{split}", x
        yield from ((f"{task}_{split}", labels) for task, labels in y.items())


def test_planted_is_the_function_and_the_package_is_importable():
    assert callable(mtl.datasets.planted)
    assert callable(importlib.import_module("mtlkit.datasets").planted)
    assert planted_conditions() == PLANTED_CONDITIONS
    assert set(ASKED_FOR) <= set(PLANTED_CONDITIONS)
    assert tuple(FAMILIES) == (*EMBEDDED[:2], "digits", "fashion")


@pytest.mark.parametrize("cause", PLANTED_CONDITIONS)
def test_every_condition_builds(cause):
    data = built(cause)
    assert isinstance(data, PlantedData) and isinstance(data, MultiTaskData)
    assert [len(x) for _, x, _ in data.splits()] == [96, 32, 32]
    assert data.tasks == ("identity", "orientation", "intensity")
    assert data.target == "orientation" and data.num_bins == 8
    for split, x, y in data.splits():
        assert x.dtype == "float32" and x.min() >= 0 and 0 < x.max() <= 1
        assert len(data.true_bins[split]) == len(x)
        assert y["identity"].dtype == y["orientation"].dtype == "int64"
        assert y["intensity"].dtype == "float32"
        assert set(y["identity"]) <= set(range(10)) and set(y["orientation"]) <= set(range(8))
        assert y["intensity"].min() >= 0.2 and y["intensity"].max() <= 1


def test_fashion_builds_where_its_files_are():
    try:
        find_files()
    except FileNotFoundError:
        pytest.skip("Fashion-MNIST is not here")
    data = planted("clean", family="fashion", samples=160, num_bins=8)
    assert len(data.x_train) == 96 and len(np.unique(data.y_train["identity"])) == 10


def test_fashion_says_how_to_get_its_files(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    module = sys.modules["mtlkit.datasets.rotated_fashion_mnist"]
    monkeypatch.setattr(module, "_DEBIAN", Path(tmp_path, "none"))
    with pytest.raises(FileNotFoundError, match="dataset-fashion-mnist"):
        planted("clean", family="fashion")


@pytest.mark.parametrize("cause", PLANTED_CONDITIONS)
def test_truth_uses_the_names_of_the_diagnosis(cause):
    truth = built(cause).truth
    known = {*OF_DATA, *OF_MODELS}
    assert truth.name == cause and truth.limit in LIMITS
    assert {*truth.causes, *truth.undetermined, *truth.allowed, *truth.instead} <= known
    assert not set(truth.causes) & {*truth.allowed, *truth.instead}
    sides = {"data": (True, False), "model": (False, True), "mixed": (True, True)}
    found = tuple(bool(set(truth.causes) & set(side)) for side in (OF_DATA, OF_MODELS))
    assert found == sides.get(truth.limit, (False, False))
    assert (truth.limit != "undetermined") or truth.undetermined


@pytest.mark.parametrize("family", EMBEDDED)
def test_determined_by_the_seed(family):
    first, same, other = (small("twins_and_noise", family, seed=seed) for seed in (3, 3, 4))
    for (name, array), (_, again), (_, different) in zip(
        arrays(first), arrays(same), arrays(other), strict=True
    ):
        np.testing.assert_array_equal(array, again, err_msg=name)
        assert not np.array_equal(array, different)


@pytest.mark.parametrize(
    ("cause", "family"),
    [
        ("uniform_noise", "glyphs"),
        ("pair_flip", "textures"),
        ("no_signal", "digits"),
        ("misaligned_labels", "glyphs"),
    ],
)
def test_planted_labels_leave_images_as_they_are(cause, family):
    np.testing.assert_array_equal(small(cause, family).x_train, small("clean", family).x_train)


@pytest.mark.parametrize("num_bins", [8, 16, 32])
def test_numbers_of_bins(num_bins):
    data = planted("clean", samples=800, num_bins=num_bins)
    assert set(data.y_train["orientation"]) == set(range(num_bins))
    assert data.train(epochs=0)(data.x_test[:2])["orientation"].shape == (2, num_bins)


def test_sizes_and_data_formats():
    first = small("label_leak", size=16, data_format="channels_first")
    last = small("label_leak", size=16, data_format="channels_last")
    assert first.x_train.shape == (96, 1, 16, 16)
    np.testing.assert_array_equal(first.x_train[:, 0], last.x_train[..., 0])
    if keras.config.backend() != "tensorflow":  # which has no such convolution on CPUs
        first.train(epochs=1)


def test_small_data_are_small():
    for cause in ("too_little_data", "imbalance_and_little"):
        assert [len(x) for _, x, _ in planted(cause).splits()] == [360, 120, 120]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cause": "gremlins"}, "Expected cause to be one of .*'clean'.*Received: 'gremlins'"),
        ({"family": "cats"}, "Expected family to be one of .*'glyphs'.*Received: 'cats'"),
        ({"severity": 0.1}, "severity=None for 'clean'.*severity=0.1"),
        ({"cause": "uniform_noise", "severity": 1.5}, r"severity in \[0, 0.95\].*severity=1.5"),
        ({"cause": "uniform_noise", "severity": -0.1}, r"severity in \[0, 0.95\].*severity=-0.1"),
        ({"cause": "uniform_noise", "severity": np.nan}, "severity=nan"),
        ({"samples": 39}, "Expected samples >= 40.*Received: samples=39"),
        ({"num_bins": 12}, "Expected num_bins to be one of.*num_bins=12"),
        ({"seed": -1}, "Expected seed >= 0.*seed=-1"),
        ({"size": 8}, "Expected size >= 16.*size=8"),
        ({"size": 20}, "multiple of 8.*size=20"),
    ],
)
def test_errors_name_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        small(**{"cause": "clean", **options})
