import sys

import numpy as np
import pytest
from diagnostics.made_images import blobs

from mtlkit.diagnostics.data_probes import splits


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.3])
def test_images_of_one_generator_are_no_copies(noise):
    x, y = blobs(700, 0, noise)
    found = splits(x[:500], y[:500], x[500:], y[500:])
    assert found.status == "absent" and found.details["exact"] == 0


def test_exact_copies_are_counted():
    x, y = blobs(700, 1)
    x[500:540] = x[:40]
    found = splits(x[:500], y[:500], x[500:], y[500:])
    assert found.found and found.effect == pytest.approx(40 / 200)
    assert found.details["exact_rows"].tolist() == list(range(40))
    assert found.details["exact_of"].tolist() == list(range(40))
    assert found.details["copies_with_other_labels"]["y"] == (y[500:540] != y[:40]).sum()


@pytest.mark.parametrize("change", [lambda x: 0.6 * x, lambda x: x + 0.1, lambda x: x + 0.001])
def test_near_copies_are_found(change):
    x, y = blobs(700, 2)
    x[500:600] = change(x[:100])
    found = splits(x[:500], y[:500], x[500:], y[500:])
    assert found.found and found.effect == pytest.approx(0.5, abs=0.05)


def test_a_single_copy_does_not_matter():
    x, y = blobs(700, 3)
    x[500] = x[0]
    found = splits(x[:500], y[:500], x[500:], y[500:])
    assert not found.found and found.effect == pytest.approx(1 / 200)


def test_images_that_are_repeated_in_training_are_not_near_copies_of_validation():
    """Near copies within the training data are no leak, if there are as many across."""
    x, y = blobs(500, 4)
    rng = np.random.default_rng(4)
    repeated = np.repeat(x, 2, axis=0) + 0.001 * rng.normal(size=(1000, 12, 12, 1))
    fresh, fresh_y = blobs(200, 5)
    assert splits(repeated, np.repeat(y, 2), fresh, fresh_y).status == "absent"


def test_unlabelled_images_and_those_of_other_types_are_copies_too(monkeypatch):
    monkeypatch.setattr(sys.modules["mtlkit.diagnostics.data_probes._splits"], "_CHUNK", 64)
    x, y = blobs(700, 13)
    x = (200 * np.clip(x, 0, 1)).astype("uint8")
    held, labels = x[500:].astype("float32"), y[500:]
    held[:40] = x[460:500]
    some = np.where(np.arange(500) < 480, y[:500], -1)
    found = splits(x[:500], {"place": some}, held, {"place": labels})
    assert found.details["exact"] == 40
    assert found.details["exact_of"].tolist() == list(range(460, 500))
    differing = (labels[:20] != y[460:480]).sum()
    assert found.details["copies_with_other_labels"] == {"place": differing}


def test_of_many_training_images_some_are_looked_at_for_near_copies(monkeypatch):
    module = sys.modules["mtlkit.diagnostics.data_probes._splits"]
    x, y = blobs(700, 14)
    x[500:600] = 0.6 * x[:100]
    monkeypatch.setattr(module, "_KNOWN", 400)
    found = splits(x[:500], y[:500], x[500:], y[500:])
    assert found.found and 0.3 < found.effect < 0.5
