"""Training on two devices gives what training on one gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="On PyTorch Keras trains on one device",
)


@pytest.fixture(scope="module")
def apart():
    """How far the two trainings are apart, measured by a process with two devices."""
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "tests/model/train_on_two_devices.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_logs_are_those_of_one_device(apart):
    assert apart["same_names"]
    assert {name: value for name, value in apart["logs"].items() if value > 1e-4} == {}


def test_weights_are_those_of_one_device(apart):
    assert max(apart["weights"]) <= 1e-4
    assert apart["moved"] > 0.01  # there was something to compare


def test_balanced_weights_are_those_of_one_device(apart):
    assert max(apart["balanced"]) <= 1e-4
